"""Runs programs of PHP with the extension, php-fpm behind nginx, and PHP within Apache.

usage: NAME_test.py DIRECTORY_OF_THE_PACKAGE DIRECTORY_OF_PROGRAMS
"""
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "python"))

import segments  # noqa: E402: reads the arguments

FPM = shutil.which("php-fpm") or (sorted(glob.glob("/usr/sbin/php-fpm[0-9]*")) or [None])[-1]
APACHE = "/usr/sbin/apache2"
MODULES = pathlib.Path("/usr/lib/apache2/modules")
MOD_PHP = next(iter(sorted(MODULES.glob("libphp*.so"))), None)
USER = "www-data"


def skip_without(*programs):
    """Ends a test program that cannot run here, and says why."""
    missing = [name for name in programs if not (FPM if name == "php-fpm" else shutil.which(name))]
    if missing:
        print(f"skipped: {', '.join(missing)} is not here")
        sys.exit(77)


def settings(**more):
    """No php.ini of this machine, and the extension."""
    given = {"extension": segments.PACKAGE / "shmetrics.so", **more}
    return ["-n", "-d", "extension=posix", *(word for name, value in given.items()
                                             for word in ("-d", f"{name.replace('__', '.')}={value}"))]


def environment(**more):
    return {**os.environ, "SHMETRICS_PHP": str(segments.PACKAGE), "SHMETRICS_TESTS": str(HERE), **more}


def run(segment, source, code=0, **more):
    """What a program wrote, behind the autoloader."""
    source = f"require '{HERE}/autoload.php'; {source}"
    done = subprocess.run(["php", *settings(shmetrics__segment=segment, **more), "-r", source], env=environment(),
                          text=True, capture_output=True, timeout=120)
    if done.returncode != code:
        raise AssertionError(f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout + done.stderr


class Site:
    """A server whose workers run app.php in a folder of their own."""

    def __init__(self):
        self.folder = segments.new_directory()
        self.folder.chmod(0o755)
        (self.folder / "data").mkdir()
        self.segment = self.folder / "data" / "app.seg"
        self.app = self.folder / "app.php"
        self.app.write_text((HERE / "app.php").read_text())
        if os.geteuid() == 0:
            shutil.chown(self.folder / "data", USER, USER)
        self.port = segments.free_port()

    def start(self, command, **more):
        with open(self.folder / "stderr", "a") as log:
            return subprocess.Popen(command, env=environment(), stdout=log, stderr=log, **more)

    def workers(self):
        pid = self.process.pid
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def up(self, port=None):
        """The number of a worker that answers."""
        for _ in range(600):
            if (answer := segments.get(port or self.port, "/up") or "").isdigit():
                return int(answer)
            time.sleep(0.1)
        raise AssertionError(f"nobody answers:\n{answer}\n{self.said()}")

    def said(self):
        logs = (self.folder / name for name in ("fpm.log", "stderr", "nginx.log", "apache.log"))
        return "".join(log.read_text()[-3000:] for log in logs if log.exists())

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(timeout=60)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Apache(Site):
    """Apache with its prefork module, and PHP within each of its children."""

    def __init__(self, lines=""):
        super().__init__()
        (self.folder / "php.ini").write_text("extension=posix\ndisplay_errors=0\n"
                                             f"extension={segments.PACKAGE / 'shmetrics.so'}\n"
                                             f"shmetrics.segment={self.segment}\n")
        user = USER if os.geteuid() == 0 else f"#{os.geteuid()}"
        group = USER if os.geteuid() == 0 else f"#{os.getegid()}"
        modules = {"mpm_prefork": "mod_mpm_prefork.so", "authz_core": "mod_authz_core.so", "alias": "mod_alias.so",
                   "php": MOD_PHP.name}
        (self.folder / "apache.conf").write_text(
            "".join(f"LoadModule {name}_module {MODULES / file}\n" for name, file in modules.items())
            + f"ServerName localhost\nServerRoot {self.folder}\nListen 127.0.0.1:{self.port}\n"
            f"PidFile {self.folder}/pid\nErrorLog {self.folder}/apache.log\nUser {user}\nGroup {group}\n"
            f"PHPINIDir {self.folder}\nAliasMatch ^/ {self.app}\n<Files app.php>\n"
            "SetHandler application/x-httpd-php\nRequire all granted\n</Files>\n"
            "StartServers 3\nMinSpareServers 3\nMaxSpareServers 3\nMaxRequestWorkers 3\n" + lines)
        # Its end signals its whole process group.
        self.process = self.start([APACHE, "-f", self.folder / "apache.conf", "-D", "FOREGROUND"],
                                  start_new_session=True)


class Fpm(Site):
    """nginx and php-fpm with the pools that are given: name and lines of each. All of them run app.php. `patience`:
    how long workers may take to end; with 0, its own default, php-fpm sends SIGKILL right behind SIGTERM."""

    def __init__(self, pools, patience="10s", **more):
        super().__init__()
        self.ports = {name: segments.free_port() for name in pools}
        self.port = next(iter(self.ports.values()))
        self.write_configurations(pools, patience)
        given = {name: str(value).format(folder=self.folder) for name, value in more.items()}
        given["display_errors"] = 0  # a request that fails is answered by 500
        command = [FPM, "-F", *settings(**given), "-y", self.folder / "fpm.conf"]
        self.process = self.start(command, start_new_session=True)
        self.nginx = self.start(["nginx", "-p", self.folder, "-e", self.folder / "nginx.log", "-c",
                                 self.folder / "nginx.conf"])

    def write_configurations(self, pools, patience):
        env = "".join(f"env[{name}] = {value}\n" for name, value in environment().items()
                      if name in ("SHMETRICS_PHP", "SHMETRICS_TESTS", "SHMETRICS_PROMPHP"))
        user = f"user = {USER}\ngroup = {USER}\n" if os.geteuid() == 0 else ""
        text = f"[global]\nerror_log = {self.folder}/fpm.log\nprocess_control_timeout = {patience}\n"
        servers = ""
        for name, lines in pools.items():
            segment = "" if "SHMETRICS_SEGMENT" in lines else f"php_admin_value[shmetrics.segment] = {self.segment}\n"
            text += (f"[{name}]\nlisten = {self.folder}/{name}.sock\nlisten.mode = 0666\n{user}{env}{segment}"
                     + lines.format(folder=self.folder) + "\n")
            servers += (f"server {{ listen 127.0.0.1:{self.ports[name]}; location / {{ include fastcgi.conf;\n"
                        f"fastcgi_pass unix:{self.folder}/{name}.sock; fastcgi_param SCRIPT_FILENAME {self.app};"
                        " } }\n")
        (self.folder / "fpm.conf").write_text(text)
        shutil.copy("/etc/nginx/fastcgi.conf", self.folder)
        root = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(
            f"{root} daemon off; master_process off; pid {self.folder}/nginx.pid;\n"
            f"events {{}}\nhttp {{ access_log off;\n"
            + "".join(f"{kind}_temp_path {self.folder}/{kind};\n"
                      for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + f"{servers}}}\n")

    def close(self):
        self.nginx.kill()
        self.nginx.wait()
        super().close()
