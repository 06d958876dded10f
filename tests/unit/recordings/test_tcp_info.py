"""What the samples of a connection say."""

import numpy

from omrig.recordings import tcp_info
from omrig.watcher import layout


def test_tcp_info_that_an_old_kernel_does_not_tell_is_none(tmp_path):
    row = dict.fromkeys(layout.TCP_INFO_COLUMNS, 1) | {"info_bytes": 136}
    numpy.array(list(row.values()), dtype="<u8").tofile(tmp_path / layout.TCP_INFO)
    (summary,) = tcp_info.read(tmp_path)
    assert summary["rwnd_limited_us"] is None
    assert summary["series"]["rwnd_limited_us"] is None
    assert summary["retransmits"] == 0
