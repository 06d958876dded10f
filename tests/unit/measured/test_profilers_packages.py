import json.encoder
import sys

import kombu.messaging
import oslo_config.cfg
import pytest

from omrig.measured.profilers.callgraph import packages
from omrig.measured.profilers.callgraph.packages import Installation

INSTALLED = Installation(
    stdlib="/usr/lib/python3.11",
    roots=("/usr/lib/python3/dist-packages", "/usr/lib/python3.11/site-packages", "/home/me/src"),
    distributions={"oslo_messaging": "oslo.messaging", "kombu": "kombu"},
)


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("/usr/lib/python3/dist-packages/oslo_messaging/_drivers/pool.py", "oslo.messaging"),
        ("/usr/lib/python3.11/site-packages/kombu/messaging.py", "kombu"),
        ("/usr/lib/python3.11/site-packages/six.py", "six"),
        ("/usr/lib/python3.11/site-packages/eventlet/green/ssl.py", "eventlet"),
        ("/usr/lib/python3.11/json/encoder.py", "json"),
        ("/usr/lib/python3.11/logging/__init__.py", "logging"),
        ("/usr/lib/python3.11/ssl.py", "socket, ssl"),
        ("/usr/lib/python3.11/socket.py", "socket, ssl"),
        ("/usr/lib/python3.11/threading.py", "stdlib"),
        ("/usr/lib/python3.11x/threading.py", "threading"),
        ("<frozen importlib._bootstrap>", "stdlib"),
        ("<string>", "generated code"),
        ("/home/me/src/omrig/measured/probes/sending.py", "omrig.measured.probes"),
        ("/home/me/src/omrig/model/plan.py", "omrig.model"),
        ("/home/me/src/kombu/messaging.py", "kombu"),
        ("/opt/endpoint.py", "endpoint"),
        ("relative.py", "relative"),
    ],
)
def test_a_file_belongs_to_the_package_people_install(file, package):
    assert packages.package_of(file, INSTALLED) == package


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("<method 'send' of '_socket.socket' objects>", "socket, ssl"),
        ("<method 'read' of '_ssl._SSLSocket' objects>", "socket, ssl"),
        ("<built-in method _json.encode_basestring>", "json"),
        ("<method 'switch' of 'greenlet.greenlet' objects>", "greenlet"),
        ("<built-in method greenlet._greenlet.getcurrent>", "greenlet"),
        ("<built-in method builtins.len>", None),
        ("<method 'get' of 'dict' objects>", None),
        ("<built-in method _struct.pack>", None),
        ("<built-in method time.sleep>", None),
        ("<method 'acquire' of '_thread.lock' objects>", None),
        ("<built-in method __new__ of type object at 0x7fafeaa5ea00>", None),
    ],
)
def test_builtins_of_the_language_belong_to_nobody(name, package):
    assert packages.package_of_builtin(name, INSTALLED) == package


def test_this_installation():
    installed = packages.installation()
    modules = {
        oslo_config.cfg: "oslo.config",
        kombu.messaging: "kombu",
        json.encoder: "json",
        packages: "omrig.measured.profilers",
        sys.modules["threading"]: "stdlib",
        pytest: "pytest",
    }
    found = {module: packages.package_of(module.__file__, installed) for module in modules}
    assert found == modules
