"""Whose run it is, and whether the owner is still there."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from turbine_health.io.run_owner import RunOwner

NOW = datetime(2024, 1, 2, tzinfo=timezone.utc)
A_DAY_AGO = NOW - timedelta(hours=25)


def test_tags_say_who_owns_a_run():
    owner = RunOwner.of_this_process()
    assert RunOwner.from_tags(owner.as_tags()) == owner
    assert (owner.host, owner.pid) == (socket.gethostname(), os.getpid())


def test_a_run_without_our_tags_has_no_owner():
    assert RunOwner.from_tags({"mlflow.user": "planner"}) is None


def test_a_living_owner_is_not_gone_however_long_it_takes():
    assert not RunOwner.of_this_process().is_gone(A_DAY_AGO, NOW, elsewhere_hours=24)


def test_a_later_process_with_the_same_number_is_another():
    assert replace(RunOwner.of_this_process(), began="1").is_gone(NOW, NOW, elsewhere_hours=24)


def test_on_another_machine_age_decides():
    elsewhere = replace(RunOwner.of_this_process(), host="another")
    assert elsewhere.is_gone(A_DAY_AGO, NOW, elsewhere_hours=24)
    assert not elsewhere.is_gone(NOW, NOW, elsewhere_hours=24)
