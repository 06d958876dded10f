"""No password survives redaction."""

import pytest

from omrig import redaction


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("rabbit://u:pw@h:1/v", "rabbit://u:***@h:1/v"),
        ("rabbit://u:p1@h1,u2:p2@h2:5/", "rabbit://u:***@h1,u2:***@h2:5/"),
        ("amqp://u:a%40b@[::1]:5672//", "amqp://u:***@[::1]:5672//"),
        ("rabbit://h:5672/", "rabbit://h:5672/"),
        ("kafka://h/?sasl_password=abc&x=1", "kafka://h/?sasl_password=***&x=1"),
        ("no url here: 10:20 and a@b", "no url here: 10:20 and a@b"),
    ],
)
def test_urls(text, safe):
    assert redaction.redact(text) == safe


def test_a_remembered_password_is_removed_anywhere_in_any_spelling():
    redaction.remember(["s3cr/et&x"])
    assert "s3cr" not in redaction.redact("login with s3cr/et&x failed; url s3cr%2Fet%26x")
