"""Stage maps: data, one file a driver or library. See :mod:`omrig.drivers.maps`."""
