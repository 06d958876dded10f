"""What the engine may log shows no password."""

import pickle

from omrig.fleet.secret import Sealed


def test_what_is_sealed_arrives_and_is_not_shown():
    sealed = Sealed('{"url": "rabbit://u:hunter2@h"}', frozenset({"hunter2"}))
    for shown in (repr(sealed), str(sealed), f"{sealed}", repr([sealed]), repr({"a": sealed})):
        assert "hunter2" not in shown
    assert pickle.loads(pickle.dumps(sealed)) == sealed
