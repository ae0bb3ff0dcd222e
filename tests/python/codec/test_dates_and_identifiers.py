"""Dates, decimals and UUIDs keep zone, fold, sign and precision."""

import datetime as dt
import uuid
import zoneinfo
from decimal import Decimal

import pytest
from codec_buffers import WAYS, by_batch, packed
from codec_sameness import assert_same

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
ODD = dt.timezone(dt.timedelta(hours=-3, seconds=5, microseconds=7), "ODD")

DATES = {
    "naive": dt.datetime(2024, 1, 2, 3, 4, 5, 6),
    "first and last": [dt.datetime.min, dt.datetime.max, dt.date.min, dt.date.max],
    "UTC": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    "an odd offset with a name": dt.datetime(2024, 1, 1, tzinfo=ODD),
    "a zone": dt.datetime(2024, 7, 1, tzinfo=BERLIN),
    "the date": dt.date(2, 3, 4),
    "times": [dt.time(1, 2, 3, 4), dt.time(1, tzinfo=dt.UTC), dt.time(2, 30, fold=1), dt.time.max],
    "durations": [dt.timedelta(-5, 3, 2), dt.timedelta.min, dt.timedelta.max, dt.timedelta(0)],
    "offsets": [dt.UTC, ODD, dt.timezone(dt.timedelta(hours=5, minutes=30))],
    "offsets of nothing by name": [
        dt.timezone(dt.timedelta(0), "Z"),
        dt.timezone(dt.timedelta(0), "UTC"),
    ],
    "zones": [zoneinfo.ZoneInfo("Asia/Tokyo"), BERLIN],
}
NUMBERS = {
    "decimals": [Decimal(text) for text in ("1.5", "1.50", "-0", "-0E-10", "1E+999999999", "0.1")],
    "infinite": [Decimal("Infinity"), Decimal("-Infinity")],
    "not a number": [Decimal(text) for text in ("NaN", "-NaN", "sNaN", "sNaN123", "-NaN7")],
    "long decimals": Decimal("3." + "1415926535" * 1_000),
    "UUIDs": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.uuid5(uuid.NAMESPACE_DNS, "x")],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [*DATES.values(), *NUMBERS.values()], ids=[*DATES, *NUMBERS])
def test_dates_and_numbers_survive(value, way):
    assert_same(way(value), value)


@pytest.mark.parametrize("value", [*DATES.values(), *NUMBERS.values()], ids=[*DATES, *NUMBERS])
def test_dates_and_numbers_need_no_pickle(value):
    packed(value, allow_pickle=False)


@pytest.mark.parametrize("fold", [0, 1])
def test_fold_survives_where_the_clock_goes_back(fold):
    moment = dt.datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=BERLIN)
    back = by_batch(moment)
    assert back.fold == fold
    assert back.utcoffset() == moment.utcoffset() == dt.timedelta(hours=2 - fold)


def test_names_of_offsets_survive():
    for zone in (dt.UTC, ODD, dt.timezone(dt.timedelta(0), "Z")):
        assert by_batch(zone).tzname(None) == zone.tzname(None)
        assert repr(by_batch(zone)) == repr(zone)


def test_a_zone_comes_back_as_the_one_of_its_key():
    back = by_batch(dt.datetime(2024, 7, 1, tzinfo=BERLIN))
    assert back.tzinfo is BERLIN
    assert back.tzname() == "CEST"


class Later(dt.datetime):
    """Subclasses are not flattened to their base."""


def test_subclasses_of_dates_come_back_as_themselves():
    assert_same(by_batch(Later(2024, 1, 1)), Later(2024, 1, 1))


def test_a_uuid_keeps_whether_it_is_safe():
    value = uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe)
    assert by_batch(value).is_safe is uuid.SafeUUID.safe
