"""A small run of the scale-out proof; the whole one is `make faults-scale`."""

from tests.faults import scale_out


def test_while_everything_dies_at_random_each_recording_is_accessioned_once(tmp_path):
    outcome = scale_out.run(tmp_path, recordings=16, every_s=3, seed=20261124, stations_count=2)
    assert outcome.wrong == []
    assert sum(outcome.kills.values()) > 0
    assert (outcome.accessioned, outcome.duplicates, outcome.losses) == (16, 0, 0)
