"""One sentence for what an installer says in many lines."""

import pytest
from packaging.requirements import Requirement

from omrig.environments import asked, explained, refusals
from omrig.environments.refusals import NotInstallable

OMRIG = [Requirement("oslo.messaging>=14.0"), Requirement("amqp>=5.1")]

UV_NO_RELEASE = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of oslo-messaging==99 and you require oslo-messaging==99, we \
can conclude that your requirements are unsatisfiable.
"""
UV_NO_RELEASE_BEFORE = """\
  x No solution found when resolving dependencies:
  ╰─▶ Because there is no version of oslo-messaging==99 and you require
      oslo-messaging==99, we can conclude that your requirements are
      unsatisfiable.
"""
UV_NO_PACKAGE = """\
error: No solution found when resolving dependencies
  cause: Because oslo-messagingx was not found in the package registry and you require \
oslo-messagingx, we can conclude that your requirements are unsatisfiable.
"""
UV_CONTRADICTION = """\
error: No solution found when resolving dependencies
  cause: Because kombu==5.4.0 depends on amqp>=5.1.1,<6.0.0 and you require kombu==5.4.0, we can \
conclude that you require amqp>=5.1.1,<6.0.0.
         And because you require amqp==5.1.0, we can conclude that your requirements are \
unsatisfiable.
"""
UV_BELOW = """\
error: No solution found when resolving dependencies
  cause: Because you require oslo-messaging<13 and oslo-messaging>=14.0, we can conclude that your \
requirements are unsatisfiable.
"""
UV_UNREACHABLE = """\
error: Request failed after 3 retries in 10.6s
  cause: Failed to fetch: http://user:secret@127.0.0.1:9/simple/oslo-messaging/
  cause: error sending request for url (http://user:secret@127.0.0.1:9/simple/oslo-messaging/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""
UV_BUILD = """\
Building wheel...
Traceback (most recent call last):
  File "<string>", line 14, in <module>
RuntimeError: no setup today
error: Failed to build `/tmp/bad`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed

hint: Build failures usually indicate a problem with the package or the build environment
"""
UV_PLATFORM = """\
error: No solution found when resolving dependencies
  cause: Because only yappi==1.6.10 is available and yappi==1.6.10 has no wheels with a matching \
Python version tag (e.g., `cp312`), we can conclude that all versions of yappi cannot be used.
         And because you require yappi, we can conclude that your requirements are unsatisfiable.
"""
UV_FULL = """\
error: Failed to install: numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (numpy==2.4.6)
  cause: failed to copy file from /a to /b: No space left on device (os error 28)
"""
PIP_NO_RELEASE = """\
ERROR: Could not find a version that satisfies the requirement oslo.messaging==99 (from versions: \
1.0, 18.3.1)
ERROR: No matching distribution found for oslo.messaging==99
"""
PIP_NO_PACKAGE = """\
ERROR: Could not find a version that satisfies the requirement oslo.messagingx (from versions: none)
ERROR: No matching distribution found for oslo.messagingx
"""


@pytest.mark.parametrize(
    ("typed", "said", "text"),
    [
        ("oslo.messaging==99", UV_NO_RELEASE, "there is no such release; the newest is 18.3.1"),
        (
            "oslo.messaging==99",
            UV_NO_RELEASE_BEFORE,
            "there is no such release; the newest is 18.3.1",
        ),
        ("oslo.messaging==99", PIP_NO_RELEASE, "there is no such release; the newest is 18.3.1"),
        ("oslo.messagingx", UV_NO_PACKAGE, "the package index knows no package oslo.messagingx"),
        ("oslo.messagingx", PIP_NO_PACKAGE, "the package index knows no package oslo.messagingx"),
        (
            "kombu==5.4.0",
            UV_CONTRADICTION,
            "kombu==5.4.0 depends on amqp>=5.1.1,<6.0.0 and you require kombu==5.4.0; you require"
            " amqp==5.1.0",
        ),
        (
            "oslo.messaging<13",
            UV_BELOW,
            "you require oslo-messaging<13 and oslo-messaging>=14.0 (omrig itself needs"
            " oslo.messaging>=14.0)",
        ),
        (
            "kombu==5.4.0",
            UV_UNREACHABLE,
            "the package index cannot be reached:"
            " http://***@127.0.0.1:9/simple/oslo-messaging/: Connection refused (os error 111)",
        ),
        ("kombu==5.4.0", UV_BUILD, "it does not build: RuntimeError: no setup today"),
        (
            "yappi",
            UV_PLATFORM,
            "it has no wheel for this interpreter: no Python version tag cp312",
        ),
        (
            "kombu==5.4.0",
            UV_FULL,
            "No space left on device; free some, or name another place with XDG_CACHE_HOME",
        ),
        ("kombu==5.4.0", "ERROR: something new\n", "something new"),
        ("kombu==5.4.0", "", "the installer said nothing"),
    ],
)
def test_the_sentence_that_counts(typed, said, text):
    error = explained.refusal(said, [asked.read(typed)], OMRIG, {"oslo.messaging": "18.3.1"}.get)
    assert str(error) == f"--with: {typed}: {text}"


def test_a_package_that_another_needs_is_not_taken_for_the_one_asked_for():
    said = UV_NO_RELEASE.replace("oslo-messaging==99", "pbr==99").replace(
        "you require pbr==99", "oslo-messaging==18.0.0 depends on pbr==99"
    )
    error = explained.refusal(said, [asked.read("oslo.messaging==18.0.0")], OMRIG, str)
    assert "there is no such release" not in str(error)
    assert "there is no version of pbr==99" in str(error)


def test_a_release_that_omrig_cannot_run_with_is_refused():
    with pytest.raises(NotInstallable, match=r"omrig itself needs oslo\.messaging>=14\.0"):
        explained.refuse_below([asked.read("oslo.messaging==12.0")], OMRIG)
    explained.refuse_below([asked.read("oslo.messaging==14.0.0"), asked.read("x==1")], OMRIG)


def test_a_checkout_without_its_tags_is_told_from_an_old_one(tmp_path):
    path = tmp_path / "oslo_messaging-0.0.1.dev3-py3-none-any.whl"
    folder = asked.Asked("./checkout", "folder", "")
    line = f"oslo-messaging @ {path.as_uri()}"
    with pytest.raises(NotInstallable, match="git fetch --tags"):
        explained.refuse_built_below({line: folder}, OMRIG)


def test_a_login_in_what_others_say_is_hidden():
    assert (
        refusals.without_logins("x https://u:p@h/y ssh://git@h") == "x https://***@h/y ssh://***@h"
    )
