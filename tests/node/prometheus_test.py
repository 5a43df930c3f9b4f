"""The guide's application in Node under a real Prometheus, as the one in C++: see ../mastercrm/queries_test.py.

usage: prometheus_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS DIRECTORY_OF_PEERS
"""
import unittest

from running_node_crm import RunningNodeCrm
import queries_test as of_cpp  # noqa: E402


class NodeQueries(of_cpp.Queries):
    @staticmethod
    def new_crm(folder):
        return RunningNodeCrm(folder)


if __name__ == "__main__":
    unittest.main()
