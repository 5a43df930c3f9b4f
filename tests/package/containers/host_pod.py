"""A deployment of Kubernetes as `podman kube play` runs it: memory and secrets are folders of the machine.

usage: host_pod.py DEPLOYMENT_YAML VOLUME=FOLDER...   prints it with these volumes, and images that are not pulled
"""
import sys

import yaml

documents = [document for document in yaml.safe_load_all(open(sys.argv[1])) if document["kind"] == "Deployment"]
folders = dict(argument.split("=", 1) for argument in sys.argv[2:])
for deployment in documents:
    deployment["spec"]["replicas"] = 1
    pod = deployment["spec"]["template"]["spec"]
    for container in pod["containers"]:
        container["image"] = "localhost/" + container["image"]
        container["imagePullPolicy"] = "Never"
        # On the machine's network nothing is mapped.
        ports = {port["name"]: port["containerPort"] for port in container.pop("ports", [])}
        for probe in (container[kind] for kind in ("readinessProbe", "livenessProbe") if kind in container):
            probe["httpGet"]["port"] = ports[probe["httpGet"]["port"]]
    pod["volumes"] = [{"name": volume["name"], "hostPath": {"path": folders[volume["name"]], "type": "Directory"}}
                      for volume in pod["volumes"]]
print(yaml.safe_dump_all(documents))
