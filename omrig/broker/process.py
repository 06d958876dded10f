"""The broker's process, where it runs on this host and we may look at it."""

import ipaddress
import socket

import psutil

from omrig.model.run import BrokerProcess

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

_RABBITMQ_PROCESS = "beam"
"""RabbitMQ runs in Erlang's machine; what else listens on its port (a proxy, a container's port)
only passes bytes on."""


def embedded(pid: int) -> BrokerProcess:
    """The process of a broker that we started."""
    return BrokerProcess(pid=pid, name=psutil.Process(pid).name())


def locate(host: str, port: int, product: str) -> BrokerProcess:
    """The process that listens where the broker ``product`` answered; never raises for want of it.

    ``host`` is a name or an address as in the transport URL.
    """
    addresses = _addresses(host)
    if not any(_is_here(address) for address in addresses):
        return BrokerProcess(reason=f"the broker at {host} is not on this host")
    listeners = [
        connection
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port == port
        and connection.laddr.ip in (*addresses, *_WILDCARDS)
    ]
    if not listeners:
        return BrokerProcess(
            reason=f"no process that we can see listens on port {port} of this host"
        )
    pids = {connection.pid for connection in listeners}
    pid = next(iter(pids))
    if pid is None:
        return BrokerProcess(
            reason=f"whose process listens on port {port} is not ours to see; run omrig as root, or"
            " as the broker's user"
        )
    if len(pids) > 1:
        return BrokerProcess(reason=f"several processes listen on port {port} of this host")
    return _checked(pid, port, product)


def _checked(pid: int, port: int, product: str) -> BrokerProcess:
    try:
        name = psutil.Process(pid).name()
    except psutil.Error as error:
        return BrokerProcess(reason=f"the broker's process {pid} cannot be looked at ({error})")
    if product == "RabbitMQ" and not name.startswith(_RABBITMQ_PROCESS):
        return BrokerProcess(
            reason=f"on port {port} listens {name}, which is not {product} but stands before it"
        )
    return BrokerProcess(pid=pid, name=name)


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _is_here(address: str) -> bool:
    if ipaddress.ip_address(address).is_loopback:
        return True
    interfaces = psutil.net_if_addrs().values()
    return any(address == each.address for interface in interfaces for each in interface)
