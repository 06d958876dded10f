"""The files and the environment of a throw-away RabbitMQ node, all of it inside one folder."""

import base64
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from omrig.model.errors import RunError, UsageError

USERNAME = "omrig"
HOST = "127.0.0.1"

LOG_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \S+ \[\w+\] <[\d.]+>")
BOOT_FAILED = "BOOT FAILED"
PORT_TAKEN = "eaddrinuse"

OPENSSL_CONFIG = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = omrig throw-away
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, IP:127.0.0.1
"""


def free_port() -> int:
    """A TCP port free on loopback.

    Taken from below the range in which the kernel picks the source ports of connections:
    nothing but another server can take it before the broker does.
    """
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
        first_ephemeral = int(text.split()[0])
    except (OSError, ValueError, IndexError):
        first_ephemeral = 32768
    lowest = 10000
    for _ in range(100):
        port = (
            lowest + secrets.randbelow(first_ephemeral - lowest) if first_ephemeral > 11000 else 0
        )
        with socket.socket() as listener:
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise RunError("no free TCP port on 127.0.0.1 for the broker")


def write_files(
    folder: Path, port: int, password: str, tls: bool, extra_config: Mapping[str, str]
) -> None:
    """Write the node's configuration. Of the password only a salted hash goes into a file.

    Raises UsageError if TLS is asked for and there is no openssl, RunError if openssl fails.
    """
    for name in ("home", "log", "data"):
        (folder / name).mkdir()
    config = {
        "load_definitions": str(folder / "definitions.json"),
        "log.console": "false",
        "disk_free_limit.absolute": "50MB",
    }
    if tls:
        _make_certificates(folder)
        config |= {
            "listeners.tcp": "none",
            "listeners.ssl.1": f"{HOST}:{port}",
            "ssl_options.cacertfile": str(folder / "ca.pem"),
            "ssl_options.certfile": str(folder / "server.pem"),
            "ssl_options.keyfile": str(folder / "server.key"),
            "ssl_options.verify": "verify_none",
            "ssl_options.fail_if_no_peer_cert": "false",
        }
    else:
        config["listeners.tcp.1"] = f"{HOST}:{port}"
    config |= extra_config
    lines = [f"{key} = {value}\n" for key, value in config.items()]
    (folder / "rabbitmq.conf").write_text("".join(lines))
    # With definitions to load, the broker creates no default user: there is no `guest`.
    (folder / "definitions.json").write_text(json.dumps(_definitions(password)))
    (folder / "enabled_plugins").write_text("[].\n")
    (folder / "rabbitmq-env.conf").write_text("")
    # Names from here alone: no resolver, and no helper process for it.
    (folder / "inetrc").write_text('{lookup, [file]}.\n{host, {127,0,0,1}, ["localhost"]}.\n')


def environment(folder: Path, epmd_port: int, path: str) -> dict[str, str]:
    """The whole environment of the node; nothing of the caller's settings leaks into it.

    ``path`` is its PATH.
    """
    name, distribution_port = f"omrig-{secrets.token_hex(6)}@localhost", free_port()
    # With its name from the start the node is spared the second Erlang machine that it would
    # boot only to start a port mapper, which would stay behind as a daemon.
    arguments = (
        f"-sname {name} -start_epmd false -kernel inet_dist_use_interface {{127,0,0,1}}"
        f" -kernel inet_dist_listen_min {distribution_port}"
        f" -kernel inet_dist_listen_max {distribution_port}"
        # Helper processes that RabbitMQ never asks: not every C library has what they want.
        " -os_mon start_cpu_sup false -os_mon start_disksup false -os_mon start_memsup false"
    )
    return {
        "PATH": path,
        "LANG": "C.UTF-8",
        "HOME": str(folder / "home"),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_INETRC": str(folder / "inetrc"),
        "ERL_CRASH_DUMP_SECONDS": "0",
        # Makes the script exec the Erlang machine instead of waiting for it in a shell, which
        # a SIGKILL would leave without its child.
        "RUNNING_UNDER_SYSTEMD": "true",
        "RABBITMQ_NODENAME": name,
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": arguments,
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
    }


def met_a_taken_port(folder: Path) -> bool:
    """Whether the node, or its port mapper, found a port in use that was free before."""
    said = "\n".join(_said(folder))
    return PORT_TAKEN in said or os.strerror(errno.EADDRINUSE) in said


def remove_files(folder: Path) -> None:
    """Empty the folder, for another start in it."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def log_tail(folder: Path) -> str:
    """The end of what the node said, as one line: the reason, if it failed to boot."""
    said = _said(folder)
    words = [" ".join(LOG_PREFIX.sub("", line).split()).strip("=") for line in said]
    words = [line for line in words if line]
    # A failed boot has its reason before it (a setting) or after it (a port), and then come pages
    # of Erlang's supervisors reporting each other's end.
    end = words.index(BOOT_FAILED) + 15 if BOOT_FAILED in words else len(words)
    return " | ".join(words[:end][-21:])[-1500:]


def _said(folder: Path) -> list[str]:
    said: list[str] = []
    for path in (*sorted((folder / "log").glob("*.log")), folder / "console"):
        try:
            said += path.read_text(errors="replace").splitlines()
        except OSError:
            continue
    return said


def _definitions(password: str) -> dict[str, object]:
    salt = secrets.token_bytes(4)
    digest = hashlib.sha256(salt + password.encode()).digest()
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": USERNAME,
                "password_hash": base64.b64encode(salt + digest).decode(),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "administrator",
            }
        ],
        "permissions": [
            {"user": USERNAME, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
        ],
        # The default would be this host's full name.
        "global_parameters": [{"name": "cluster_name", "value": "omrig-embedded"}],
    }


def _make_certificates(folder: Path) -> None:
    (folder / "openssl.cnf").write_text(OPENSSL_CONFIG)
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    common = "-sha256 -days 30"
    for arguments in (
        f"req -config openssl.cnf -x509 -extensions authority {key} {common}"
        " -keyout ca.key -out ca.pem",
        f"req -config openssl.cnf -new -subj /CN=localhost {key} -keyout server.key"
        " -out server.csr",
        f"x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 2 {common}"
        " -extfile openssl.cnf -extensions server -out server.pem",
    ):
        try:
            subprocess.run(
                ["openssl", *arguments.split()],
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
                timeout=30,
            )
        except FileNotFoundError:
            raise UsageError(
                "no openssl on this machine, and a broker with TLS needs certificates: install it"
                " (`apt-get install openssl`)"
            ) from None
        except subprocess.CalledProcessError as error:
            said = " | ".join(error.stderr.split("\n"))
            raise RunError(f"openssl could not make the broker's certificate: {said}") from error
    (folder / "ca.key").unlink()
