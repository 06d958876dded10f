"""A file that members read has to be the same on all hosts."""

from types import SimpleNamespace

import pytest

from omrig.fleet import targets
from omrig.model.errors import RunError, UsageError

HOSTS = [
    SimpleNamespace(name="a", workers=("tcp://a:1", "tcp://a:2")),
    SimpleNamespace(name="b", workers=("tcp://b:1",)),
]


class Client:
    """Hosts that have ``there``, by worker; without it they do not answer."""

    def __init__(self, there=None):
        self.there = there
        self.asked = []

    def sync(self, ask, **_):
        if self.there is None:
            raise TimeoutError
        try:
            ask().send(None)
        except StopIteration as done:
            return done.value

    async def run(self, function, names, workers):
        assert function is targets.read
        self.asked.append((names, workers))
        return {worker: self.there[worker] for worker in workers}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("schema = 3\n")
    return str(path)


def test_hosts_that_have_the_same_are_asked_once_each(file):
    here = targets.read([file, "oslo_messaging.rpc", file + ".gone"])
    assert list(here) == [file]
    client = Client({"tcp://a:1": here, "tcp://b:1": here})
    targets.check(client, HOSTS, [file, "oslo_messaging.rpc"])
    assert client.asked == [([file], ["tcp://a:1", "tcp://b:1"])]


def test_nobody_is_asked_where_no_target_is_a_file():
    targets.check(Client(), HOSTS, ["oslo_messaging.rpc", "amqpdriver"])


@pytest.mark.parametrize(("theirs", "said"), [({}, "no such file"), ("0" * 64, "another file")])
def test_a_host_that_has_another_or_none_is_named(file, theirs, said):
    client = Client({"tcp://a:1": targets.read([file]), "tcp://b:1": theirs and {file: theirs}})
    with pytest.raises(UsageError, match=f"--target: b has {said} as {file}; copy it there"):
        targets.check(client, HOSTS, [file])


def test_a_host_that_does_not_answer_is_not_waited_for(file):
    with pytest.raises(RunError, match="--target: not every host answers within 30 s"):
        targets.check(Client(), HOSTS, [file])
