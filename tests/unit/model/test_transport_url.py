"""Transport URLs: taken as oslo.messaging takes them, or refused without quoting them."""

import random

import oslo_messaging
import pytest
from oslo_config import cfg

from omrig.model import redaction, transport_url
from omrig.model.errors import UsageError

OPTION = "--transport-url"


@pytest.fixture(autouse=True)
def nothing_remembered():
    redaction.forget()
    yield
    redaction.forget()


@pytest.fixture
def conf():
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    return conf


@pytest.mark.parametrize(
    "url",
    [
        "rabbit://tester:Zebra#Quagga@127.0.0.1:9/",
        "rabbit://tester:Zebra/Quagga@127.0.0.1:9/",
        "rabbit://tester:Zebra?Quagga@127.0.0.1:9/",
        "rabbit://tester:Zebra,Quagga@127.0.0.1:9/",
        "rabbit://tester:12345#Quagga@127.0.0.1:9/",
        "rabbit://tester:12345/Quagga@127.0.0.1:9/",
        "rabbit://tester:12345?Quagga@127.0.0.1:9/",
        "rabbit://tester:12345,Quagga@127.0.0.1:9/",
        "rabbit://u:p@h1,tester:12345,Quagga@h2/",
        "rabbit://tester:Ze@bra/Quagga@127.0.0.1/",
        "rabbit://tester:Zebra[Quagga@127.0.0.1:9/",
        "rabbit://tester:Zebra]Quagga@127.0.0.1:9/",
        "rabbit://tester:Zebra'Quagga@127.0.0.1:port/",
        'rabbit://tester:Zebra"Quagga@127.0.0.1:port/',
        "rabbit://tester:Zebra Quagga@127.0.0.1:port/",
        "rabbit://tester:Zebra@Quagga@127.0.0.1:port/",
        "rabbit://tester:Zebra\nQuagga@127.0.0.1:9/",
        "rabbit://tester:Zebra\u2100Quagga@127.0.0.1:9/",
        "rabbit://tester@corp:ZebraQuagga@127.0.0.1:port/",
        "rabbit://tester:ZebraQuagga@127.0.0.1:99999/",
        "rabbit://tester:ZebraQuagga@127.0.0.1:0/",
        "rabbit://tester:ZebraQuagga@[::1/",
        "rabbit:/tester:ZebraQuagga@127.0.0.1:9/",
        "rabbit:tester:ZebraQuagga@127.0.0.1:9/",
        "rabbit//tester:ZebraQuagga@127.0.0.1:9/",
        "//tester:ZebraQuagga@127.0.0.1:9/",
        "tester:ZebraQuagga@127.0.0.1:9/",
        "ZebraQuagga",
        "nonsense",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_and_not_shown(conf, url, caplog):
    with pytest.raises(UsageError) as error:
        transport_url.parse(conf, url, OPTION)
    line = str(error.value)
    assert line.startswith("--transport-url: not a transport URL (")
    assert "rabbit://user:password@host:port/vhost" in line
    assert "# %23" in line
    for piece in ("Zebra", "Quagga", "12345", "tester", "corp", "127.0.0.1"):
        assert piece not in line
        assert piece not in caplog.text
    assert error.value.__cause__ is None, "a traceback would quote the URL"


@pytest.mark.parametrize(
    "character", list("/?#@:,%[] +&=$!*()'\"\\;<>^`{|}~\u00e9\u20ac\U0001f993")
)
def test_every_character_of_a_password_arrives_when_it_is_encoded(conf, character):
    encoded = "".join(f"%{byte:02X}" for byte in character.encode())
    for way in (encoded, encoded.lower()):
        url = f"rabbit://t{way}u:Zebra{way}Quagga@h:5672/v{way}h"
        parsed = transport_url.parse(conf, url, OPTION)
        assert parsed.hosts[0].password == f"Zebra{character}Quagga"
        assert parsed.hosts[0].username == f"t{character}u"
        assert parsed.virtual_host == f"v{character}h"
        shown = transport_url.show(parsed, ())
        assert "Zebra" not in shown
        assert "Quagga" not in shown
        assert shown.startswith("rabbit://")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rabbit://u:pw@h:1/v", "rabbit://u:***@h:1/v"),
        ("rabbit://u:p1@h1,u2:p2@h2:5/", "rabbit://u:***@h1,u2:***@h2:5/"),
        ("rabbit://u:a%40b@[::1]:5672//", "rabbit://u:***@[::1]:5672//"),
        ("rabbit://h:5672/", "rabbit://h:5672/"),
        ("rabbit://u@h/", "rabbit://u@h/"),
        ("rabbit://", "rabbit:///"),
        ("rabbit://a%20b:x@h/%2F", "rabbit://a%20b:***@h//"),
        ("rabbit://h/?ssl=1&other=x", "rabbit://h/?other=***&ssl=1"),
        ("kombu+memory://", "kombu+memory:///"),
    ],
)
def test_a_url_is_shown_from_parts_that_never_held_the_password(conf, url, shown):
    assert transport_url.show(transport_url.parse(conf, url, OPTION), ["ssl"]) == shown


def test_an_unknown_driver_is_named_beside_the_known_ones(conf):
    with pytest.raises(UsageError, match=r"unknown driver 'rabit'; .*rabbit"):
        transport_url.parse(conf, "rabit://h/", OPTION)


def test_passwords_of_any_url():
    url = "mysql+pymysql://nova:Zebra%40Quagga@db/nova?charset=utf8"
    assert transport_url.passwords(url) == ["Zebra@Quagga"]
    assert transport_url.passwords("rabbit://a:b@h,c:d@i/") == ["b", "d"]
    assert transport_url.passwords("sqlite:///nova.db") == []


ALPHABET = "abz019-_.~!*'()$&+=;:@/?#[],% \"\\<>{}|^`\u00e9\u0416"


def random_url(rng):
    def text(length):
        return "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(length)))

    scheme = rng.choice(["rabbit", "rabbit", "rabbit", "kombu", "fake", "rabbi", "", "://"])
    slashes = rng.choice(["://", "://", "://", ":/", ":", "//"])
    login = rng.choice(["", f"{text(5)}:{text(9)}@", f"us:{text(9)}@", f"{text(4)}@"])
    host = rng.choice(["h", "h:1", "127.0.0.1:5672", "[::1]:9", text(5), "h,u:p@i", ""])
    return f"{scheme}{slashes}{login}{host}{rng.choice(['', '/', '/vh', '/' + text(6)])}"


def test_random_urls_are_taken_as_oslo_messaging_takes_them_or_refused(conf):
    accepted = 0
    for seed in range(1500):
        url = random_url(random.Random(seed))
        redaction.forget()
        try:
            parsed = transport_url.parse(conf, url, OPTION)
        except UsageError as error:
            # Nothing after the scheme: the rest of the line is the same for every URL.
            words = str(error)
            if "unknown driver" not in words:
                reason = words.removeprefix("--transport-url: not a transport URL (")
                assert reason.partition(")")[0] in REASONS, words
            continue
        accepted += 1
        theirs = oslo_messaging.TransportURL.parse(conf, url)
        assert [(h.hostname, h.port, h.username, h.password) for h in parsed.hosts] == [
            (h.hostname, h.port, h.username, h.password) for h in theirs.hosts
        ]
    assert accepted > 150


REASONS = {
    "it does not begin with a driver and '://'",
    "an address in it is none, or a port is no number",
    "a port in it is not between 1 and 65535",
    "it holds a control character",
    "a '#' in it ends the address",
    "an '@' comes after the address has ended at a '/' or '?'",
    "a ',' in it begins another address",
}
