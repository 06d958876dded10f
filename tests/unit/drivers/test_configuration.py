"""Which configuration and which transport URL a run goes by: what is named, and nothing else."""

import dataclasses
import os
import random

import pytest
from oslo_config import cfg

from omrig.drivers import configuration, settings
from omrig.model import interpreter, redaction
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.plan import Plan, Where

URL_VARIABLE = "OS_DEFAULT__TRANSPORT_URL"
PREFETCH_VARIABLE = "OS_OSLO_MESSAGING_RABBIT__RABBIT_QOS_PREFETCH_COUNT"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("SNAP", "SNAP_COMMON", URL_VARIABLE, PREFETCH_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    yield home
    cfg.CONF.reset()
    redaction.forget()


def plan_of(**options):
    return Plan(sides=("producer",), run_id="1", transport=Where(**options))


def decide(**options):
    plan = plan_of(**options)
    found = configuration.load(plan)
    return found, configuration.find_url(found, plan)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def prefetch_of(transport):
    return transport.settings["[oslo_messaging_rabbit] rabbit_qos_prefetch_count"].value


def url_file(path, host):
    return write(path, f"[DEFAULT]\ntransport_url = rabbit://{host}/\n")


@pytest.mark.parametrize(
    ("pattern", "host", "source"),
    [("notify", "theirs", "[oslo_messaging_notifications] in {path}"), ("cast", "h", "{path}")],
)
def test_the_url_of_notifications_counts_for_a_load_of_nothing_else(
    tmp_path, pattern, host, source
):
    text = "[oslo_messaging_notifications]\ntransport_url = rabbit://theirs/\n"
    path = write(tmp_path / "nova.conf", f"[DEFAULT]\ntransport_url = rabbit://h/\n{text}")
    plan = Plan(
        sides=("producer",),
        run_id="1",
        load=Load(pattern=pattern),
        transport=Where(config_files=(path,)),
    )
    url = configuration.find_url(configuration.load(plan), plan)
    assert (url.url, url.source) == (f"rabbit://{host}/", source.format(path=path))
    assert url.is_named
    given = plan.with_transport(url="rabbit://mine/")
    assert configuration.find_url(configuration.load(given), given).url == "rabbit://mine/"


def test_a_file_with_the_url_of_notifications_alone_will_do_for_them(tmp_path):
    path = write(
        tmp_path / "nova.conf", "[oslo_messaging_notifications]\ntransport_url = rabbit://h/\n"
    )
    plan = plan_of(config_files=(path,))
    with pytest.raises(UsageError, match=r"there is one in \[oslo_messaging_notifications\]"):
        configuration.find_url(configuration.load(plan), plan)
    plan = dataclasses.replace(plan, load=Load(pattern="notify"))
    assert configuration.find_url(configuration.load(plan), plan).url == "rabbit://h/"


def test_nothing_configured_gives_no_url():
    found, url = decide()
    assert url is None
    default = configuration.default_url(found)
    assert (default.url, default.source) == ("rabbit://", "oslo.messaging's default")
    assert not default.is_named


def test_the_service_s_own_file_is_found_and_is_not_named(home):
    path = url_file(home / ".nova/nova.conf", "found")
    _, url = decide()
    assert (url.url, url.source, url.is_named) == ("rabbit://found/", path, False)


def test_another_service(home):
    url_file(home / ".nova/nova.conf", "nova")
    path = url_file(home / ".cinder/cinder.conf", "cinder")
    _, url = decide(project="cinder", project_named=True)
    assert (url.url, url.source, url.is_named) == ("rabbit://cinder/", path, False)


def test_file_then_folder_then_url_override_in_that_order(tmp_path, home):
    url_file(home / ".nova/nova.conf", "found")
    file = url_file(tmp_path / "f.conf", "file")
    in_dir = url_file(tmp_path / "d/x.conf", "dir")
    _, url = decide(config_files=(file,))
    assert (url.url, url.source, url.is_named) == ("rabbit://file/", file, True)
    _, url = decide(config_files=(file,), config_dirs=(str(tmp_path / "d"),))
    assert (url.url, url.source, url.is_named) == ("rabbit://dir/", in_dir, True)
    _, url = decide(config_files=(file,), url="rabbit://option/")
    assert (url.url, url.source, url.is_named) == ("rabbit://option/", "--transport-url", True)


def test_nothing_is_looked_for_beside_a_named_file(tmp_path, home):
    """A folder of the host's would override the file that was named."""
    url_file(home / ".nova/nova.conf.d/010-nova.conf", "production")
    file = url_file(tmp_path / "test.conf", "test")
    found, url = decide(config_files=(file,))
    assert url.url == "rabbit://test/"
    assert found.read_files() == [file]


def test_nothing_is_looked_for_beside_a_named_folder(tmp_path, home):
    write(home / ".nova/nova.conf", "[DEFAULT]\nrpc_response_timeout = 7\n")
    url_file(tmp_path / "d/x.conf", "dir")
    found, url = decide(config_dirs=(str(tmp_path / "d"),))
    assert settings.timeout_s(settings.resolve(found, url), plan_of()) == 60


def test_the_environment_does_not_override_what_is_named(tmp_path, monkeypatch, home):
    monkeypatch.setenv(URL_VARIABLE, "rabbit://environment/")
    monkeypatch.setenv(PREFETCH_VARIABLE, "9")
    file = url_file(tmp_path / "f.conf", "file")
    found, url = decide(config_files=(file,))
    assert url.url == "rabbit://file/"
    assert prefetch_of(settings.resolve(found, url)) == 0
    assert decide(url="rabbit://option/")[1].url == "rabbit://option/"


def test_the_environment_is_named_as_the_source(home, monkeypatch):
    url_file(home / ".nova/nova.conf", "found")
    monkeypatch.setenv(URL_VARIABLE, "rabbit://environment/")
    monkeypatch.setenv(PREFETCH_VARIABLE, "9")
    found, url = decide()
    assert (url.url, url.is_named) == ("rabbit://environment/", False)
    assert url.source == f"environment variable {URL_VARIABLE}"
    told = settings.with_sources(settings.resolve(found, url), plan_of())
    prefetch = told["[oslo_messaging_rabbit] rabbit_qos_prefetch_count"]
    assert prefetch.to_json() == {"value": 9, "source": f"environment variable {PREFETCH_VARIABLE}"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no transport_url in [DEFAULT] of"),
        ("[DEFAULT]\ndebug = true\n", "no transport_url in [DEFAULT] of"),
        ("[oslo_messaging_rabbit]\ntransport_url = rabbit://u:Invented99@h/\n", "is one in [oslo_"),
        ("[default]\ntransport_url = rabbit://u:Invented99@h/\n", "there is one in [default]"),
        (
            "[DEFAULT]\nrpc_backend = rabbit\n[oslo_messaging_rabbit]\nrabbit_host = h\n"
            "rabbit_password = Invented99\n",
            "rabbit_host, rabbit_password, rpc_backend: oslo.messaging no longer reads that",
        ),
        ("[DEFAULT]\ntransport_url =\n", "is empty"),
        ("[DEFAULT]\ntransport_url = ''\n", "is empty"),
        ("[DEFAULT]\ntransport_url = rabbit://u:Invented$99@h/\n", None),
        ("[DEFAULT]\ntransport_url = rabbit://u:In$vented99@h/\n", "write '$$' for a '$'"),
        ("[DEFAULT]\npassword Invented99\n", "line 2: No ':' or '=' found in assignment"),
        ("[DEFAULT\ntransport_url = rabbit://u:Invented99@h/\n", "line 1: Invalid section"),
        ("transport_url = rabbit://u:Invented99@h/\n", "line 1: Section must be started"),
        (" Invented99\n", "line 1: Unexpected continuation line"),
        ("[DEFAULT]\n= Invented99\n", "line 2: Key cannot be empty"),
    ],
)
@pytest.mark.parametrize("way", ["file", "folder", "found"])
def test_what_gives_no_url_is_told_without_quoting_it(tmp_path, home, way, text, said):
    paths = {
        "file": tmp_path / "f.conf",
        "folder": tmp_path / "d/f.conf",
        "found": home / ".nova/nova.conf",
    }
    path = write(paths[way], text)
    options = {
        "file": {"config_files": (path,)},
        "folder": {"config_dirs": (str(tmp_path / "d"),)},
        "found": {},
    }[way]
    if said is None:
        # A '$' before a digit is no reference.
        assert decide(**options)[1].url == "rabbit://u:Invented$99@h/"
        return
    with pytest.raises(UsageError) as error:
        decide(**options)
    line = str(error.value)
    assert said in line
    assert path in line
    assert "\n" not in line
    assert "Invented" not in line
    assert "vented" not in line
    assert error.value.__cause__ is None, "a traceback would quote the file"


def test_an_empty_option_or_variable_is_no_url(monkeypatch):
    with pytest.raises(UsageError, match="--transport-url: is empty"):
        decide(url=" ")
    monkeypatch.setenv(URL_VARIABLE, "")
    with pytest.raises(UsageError, match=f"environment variable {URL_VARIABLE}: is empty"):
        decide()


def test_a_folder_without_files_gives_no_url(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageError, match=r"--config-dir: .*holds no \*\.conf file"):
        decide(config_dirs=(str(tmp_path / "d"),))


def test_a_project_that_is_named_and_not_there(home):
    url_file(home / ".nova/nova.conf", "found")
    with pytest.raises(UsageError, match=r"--project: .*'novaa'.*/etc/novaa, /etc"):
        decide(project="novaa", project_named=True)
    with pytest.raises(UsageError, match="--project: "):
        decide(project="novaa", project_named=True, url="rabbit://h/")


@pytest.mark.parametrize(
    ("option", "path", "said"),
    [
        ("--config-file", "absent.conf", "no such file"),
        ("--config-dir", "absent", "no such folder"),
        ("--config-file", "", "is no file"),
        ("--config-dir", "a.conf", "is no folder"),
        ("--config-file", "a.conf/b", "Not a directory"),
        ("--config-file", "a\0b", "is no path"),
        ("--config-file", "x" * 300, "File name too long"),
        ("--config-file", "rabbit://u:Invented99@h/", "no such file"),
    ],
)
def test_paths_that_cannot_be_read_are_named(tmp_path, option, path, said):
    write(tmp_path / "a.conf", "")
    given = path if "://" in path else str(tmp_path / path)
    name = {"--config-file": "config_files", "--config-dir": "config_dirs"}[option]
    with pytest.raises(UsageError) as error:
        decide(**{name: (given,)})
    assert str(error.value).startswith(f"{option}: ")
    assert said in str(error.value)
    assert "Invented" not in str(error.value)


def test_secrets_are_known_by_value_and_ordinary_words_are_none(tmp_path):
    text = (
        "[DEFAULT]\ntransport_url = rabbit://u:Invented99@h/\n"
        "[database]\nconnection_password = Quagga77\n"
        "[service_user]\nsend_service_user_token = true\nauth_token = Zebra55\n"
        "[keystone_authtoken]\nservice_token_roles = service\ntoken_cache_time = 300\n"
        "service_token_roles_required = true\npassword = true\n"
    )
    found, url = decide(config_files=(write(tmp_path / "f.conf", text),))
    settings.resolve(found, url)
    said = "Invented99 Quagga77 Zebra55: set to true, no service listens for 300 s"
    assert redaction.redact(said) == "*** *** ***: set to true, no service listens for 300 s"


def as_nobody(function):
    """What ``function`` returns or raises in a process without root's rights, as text."""
    read, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            text = repr(function())
        except UsageError as error:
            text = f"UsageError: {error}"
        os.write(write_end, text.encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text


@pytest.mark.parametrize("locked", [".nova", ".nova/nova.conf", ".nova/nova.conf.d"])
def test_what_may_not_be_looked_into_is_said(tmp_path, home, locked):
    for folder in (tmp_path.parent.parent, tmp_path.parent, tmp_path, home):
        folder.chmod(0o755)
    url_file(home / ".nova/nova.conf", "found")
    url_file(home / ".nova/nova.conf.d/x.conf", "found")
    (home / locked).chmod(0)
    said = as_nobody(decide)
    assert said.startswith("UsageError: configuration of nova: ")
    assert str(home / locked) in said
    assert "may not be looked into" in said
    # A named file or folder likewise.
    name = "config_dirs" if locked.endswith("d") else "config_files"
    path = home / (locked if "/" in locked else ".nova/nova.conf")
    said = as_nobody(lambda: decide(**{name: (str(path),)}))
    assert "may not be read" in said
    # Where the URL is named it is no reason to stop, and still said.
    found = as_nobody(lambda: decide(url="rabbit://h/")[0].unreadable)
    assert str(home / locked) in found


@dataclasses.dataclass
class Case:
    """A random configuration; values are host names, "" for an empty URL, None for none."""

    option: str | None
    files: list[tuple[str | None, int | None]]
    folder: list[tuple[str | None, int | None]] | None
    variable: str | None
    prefetch_variable: int | None
    found: dict[str, tuple[str | None, int | None]]
    project: str | None


PLACES = (".nova/nova.conf", "nova.conf", ".nova/nova.conf.d/1.conf", "nova.conf.d/1.conf")


def random_case(rng):
    def contents():
        url = rng.choice([None, "", *(f"h{number}" for number in range(9))])
        return url, rng.choice([None, rng.randrange(1, 50)])

    some = rng.random() < 0.6
    return Case(
        option=rng.choice([None, None, None, None, "option", ""]),
        files=[contents() for _ in range(rng.choice([0, 0, 0, 1, 2]))],
        folder=rng.choice([None, None, None, [contents() for _ in range(rng.randrange(3))]]),
        variable=rng.choice([None, None, None, None, "variable", ""]),
        prefetch_variable=rng.choice([None, None, 77]),
        found={place: contents() for place in PLACES if rng.random() < 0.3} if some else {},
        project=rng.choice([None, None, "nova", "cinder"]),
    )


def expected(case):
    """What has to be used: the URL, "error" or None, and the prefetch count; written apart."""
    is_named = bool(case.files) or case.folder is not None
    layers = [*case.files, *(case.folder or [])]
    if not is_named and case.project != "cinder":
        for group in (PLACES[:2], PLACES[2:]):
            layers += [case.found[place] for place in group if place in case.found][:1]
    if not is_named and case.project == "cinder":
        return "error", None
    if not is_named and case.project == "nova" and not layers:
        return "error", None
    prefetch = next((p for _, p in reversed(layers) if p is not None), 0)
    if not is_named and case.prefetch_variable is not None:
        prefetch = case.prefetch_variable
    url = next((u for u, _ in reversed(layers) if u is not None), None)
    if not is_named and case.variable is not None:
        url = case.variable
    if case.option is not None:
        url = case.option
    if url == "" or (url is None and (is_named or layers)):
        return "error", None
    return url, prefetch


def lay_out(case, tmp_path, home, monkeypatch):
    def text(contents):
        url, prefetch = contents
        lines = ["[DEFAULT]"]
        lines += [f"transport_url = {f'rabbit://{url}/' if url else ''}"] if url is not None else []
        lines += ["[oslo_messaging_rabbit]"]
        lines += [f"rabbit_qos_prefetch_count = {prefetch}"] if prefetch is not None else []
        return "\n".join(lines) + "\n"

    options = {}
    if case.option is not None:
        options["url"] = f"rabbit://{case.option}/" if case.option else ""
    files = [write(tmp_path / f"{n}.conf", text(each)) for n, each in enumerate(case.files)]
    options["config_files"] = tuple(files)
    if case.folder is not None:
        (tmp_path / "named").mkdir()
        for number, each in enumerate(case.folder):
            write(tmp_path / f"named/{number}.conf", text(each))
        options["config_dirs"] = (str(tmp_path / "named"),)
    for place, each in case.found.items():
        write(home / place, text(each))
    if case.variable is not None:
        monkeypatch.setenv(URL_VARIABLE, f"rabbit://{case.variable}/" if case.variable else "")
    if case.prefetch_variable is not None:
        monkeypatch.setenv(PREFETCH_VARIABLE, str(case.prefetch_variable))
    if case.project:
        options |= {"project": case.project, "project_named": True}
    return options


def test_random_configurations_against_a_model(tmp_path, monkeypatch):
    counts = {"error": 0, "url": 0, "none": 0}
    for seed in range(300):
        case = random_case(random.Random(seed))
        root = tmp_path / str(seed)
        home = root / "home"
        home.mkdir(parents=True)
        with monkeypatch.context() as patch:
            patch.setenv("HOME", str(home))
            options = lay_out(case, root, home, patch)
            url, prefetch = expected(case)
            try:
                found, used = decide(**options)
            except UsageError:
                assert url == "error", case
                counts["error"] += 1
                continue
            if url is None:
                assert used is None, case
                counts["none"] += 1
                continue
            assert used is not None, case
            assert used.url == f"rabbit://{url}/", case
            transport = settings.resolve(found, used)
            assert prefetch_of(transport) == prefetch, case
            assert transport.options["rabbit_qos_prefetch_count"] == prefetch, case
            assert [each.host for each in transport.login.endpoints] == [url], case
            # The measured process decides nothing again, wherever it runs.
            again = plan_of(
                config_files=tuple(found.files), config_dirs=tuple(found.dirs),
                url=used.url, is_resolved=True,
                environment=interpreter.option_variables() if found.uses_environment else {},
            )  # fmt: skip
            there = configuration.load(again)
            assert configuration.find_url(there, again).url == used.url
            resolved = settings.resolve(there, configuration.find_url(there, again))
            assert resolved.options == transport.options
            counts["url"] += 1
    # Each of the three was met often enough to mean something.
    assert min(counts.values()) >= 10, counts
