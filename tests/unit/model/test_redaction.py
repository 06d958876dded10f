"""No password survives in what others say, and nothing else is changed by it."""

import html
import json
import random
import string
from urllib.parse import quote, quote_plus

import pytest

from omrig.measured import pipe
from omrig.model import events, redaction

PIECES_OF = "#/?,@:$%"


@pytest.fixture(autouse=True)
def nothing_remembered():
    redaction.forget()
    yield
    redaction.forget()


def spellings(secret):
    once = quote(secret, safe="")
    return {
        secret,
        once,
        once.lower(),
        quote(secret),
        quote_plus(secret),
        quote(once, safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        repr(secret.encode())[2:-1],
        html.escape(secret),
        secret.lower(),
        "".join(f"%{byte:02X}" for byte in secret.encode()),
    }


def random_secret(rng):
    kind = rng.choice(["printable", "letters", "wild"])
    alphabet = {
        "printable": string.printable.strip(),
        "letters": string.ascii_letters + string.digits,
        "wild": PIECES_OF + "'\"\\ &<>+\u00e9\u0416\u20ac\U0001f993ab",
    }[kind]
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(4, 24)))


def test_every_spelling_of_random_secrets_is_removed():
    for seed in range(400):
        redaction.forget()
        secret = random_secret(random.Random(seed))
        redaction.remember([secret])
        for spelling in spellings(secret):
            text = redaction.redact(f"Unable to connect: <{spelling}> (again)")
            assert text == "Unable to connect: <***> (again)", (secret, spelling)


@pytest.mark.parametrize("cut", PIECES_OF)
def test_the_pieces_that_a_parser_cuts_are_removed(cut):
    redaction.remember([f"Zebra{cut}Quagga"])
    said = redaction.redact("Port could not be cast to integer value as 'Zebra', host quagga")
    assert "ebra" not in said
    assert "uagga" not in said
    assert said.startswith("Port could not be cast to integer value as '***'")


def test_a_short_secret_is_removed_where_a_value_is_quoted_and_nowhere_else():
    redaction.remember(["a", "q'z"])
    assert redaction.redact("amqp://u:a@h/ a value as 'a'") == "amqp://u:***@h/ a value as '***'"
    assert redaction.redact("password='q\\'z' a plain word") == "password='***' a plain word"


def test_a_login_in_a_url_is_removed_though_nobody_told_of_it():
    text = "amqp://u:pw@h:1/v and amqp://u:a%40b@[::1]:5672// and h:5672"
    assert redaction.redact(text) == "amqp://u:***@h:1/v and amqp://u:***@[::1]:5672// and h:5672"


def test_what_was_suspected_is_forgotten_and_what_is_known_is_not():
    redaction.suspect("rabbit://tester:Zebra#Quagga@127.0.0.1:9/")
    assert redaction.redact("tester, Zebra, Quagga") == "***, ***, ***"
    redaction.remember(["Secret99"])
    redaction.clear()
    assert redaction.redact("tester, Zebra, Secret99") == "tester, Zebra, ***"


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("rabbit://u:pw@h/", "rabbit://***"),
        ("--transport-url=rabbit://u:pw@h/", "--transport-url=rabbit://***"),
        ("--topic=rabbit:/u:pw@h", "--topic=rabbit://***"),
        ("u:pw@h", "u://***"),
        ("Zebra#:pw@h", "***"),
        ("S3cret@host:5672/", "***"),
        ("S3cret@host", "***"),
        ("-m", "-m"),
        ("rabbit://h/", "rabbit://h/"),
        ("impl_rabbit:Connection", "impl_rabbit:Connection"),
    ],
)
def test_an_argument_is_shown_without_a_login(argument, shown):
    assert redaction.shown_argument(argument) == shown
    text = f"unrecognized arguments: {argument}; quoted {argument!r}"
    expected = f"unrecognized arguments: {shown}; quoted '{shown}'"
    assert redaction.mask_arguments(text, [argument]) == expected


def test_a_path_in_a_folder_that_is_there_is_shown(tmp_path):
    path = str(tmp_path / "me@home")
    assert redaction.mask_arguments(f"{path}: no such file", [path]) == f"{path}: no such file"


@pytest.mark.parametrize(
    "secret", ["1000", "event", "done", "producer", "null", "messages", '"', "a", "{", ":", ","]
)
def test_the_protocol_of_measured_processes_knows_no_redaction(secret, tmp_path):
    redaction.remember([secret])
    path = tmp_path / "pipe"
    with path.open("wb") as file:
        emit = pipe.emitter(file.fileno())
        emit(events.Progress("producer", {"done": 1000, "messages": 0}))
    said = json.loads(path.read_text())
    assert said == {
        "event": "progress",
        "side": "producer",
        "counts": {"done": 1000, "messages": 0},
    }
