"""Logs are one JSON object a line; figures keep to their own server."""

import json
import logging
import sys

from danqing.telemetry import JsonFormatter, Metrics, TextFormatter, inference_id_of_request


def line_of(message, **extra):
    record = logging.makeLogRecord({"name": "danqing.x", "levelname": "INFO", "msg": message, **extra})
    return json.loads(JsonFormatter().format(record))


def test_a_line_carries_the_inference_id_and_what_was_added():
    outer = inference_id_of_request.set("V1StGXR8Z5jdHi6BmyT8k")
    try:
        line = line_of("hello %s", args=("you",), status=200, error_code=None)
    finally:
        inference_id_of_request.reset(outer)
    assert line.items() >= {"message": "hello you", "inference_id": "V1StGXR8Z5jdHi6BmyT8k", "status": 200}.items()
    assert "error_code" not in line
    assert line["level"] == "info"


def test_an_exception_stays_on_its_line():
    try:
        raise ValueError("broken\nin two")
    except ValueError:
        text = JsonFormatter().format(logging.makeLogRecord({"msg": "oops", "exc_info": sys.exc_info()}))
    assert "\n" not in text
    assert "broken" in json.loads(text)["exception"]


def test_a_line_for_people_shows_what_was_added():
    fields = {"inference_id": "V1StGXR8Z5jdHi6BmyT8k", "method": "GET", "path": "/v1/models", "status": 200}
    record = logging.makeLogRecord({"name": "danqing.x", "levelname": "INFO", "msg": "request", **fields, "none": None})
    line = TextFormatter().format(record)
    assert line.endswith(
        "INFO danqing.x: request inference_id=V1StGXR8Z5jdHi6BmyT8k method=GET path=/v1/models status=200"
    )


def test_a_line_for_people_cannot_be_forged_by_a_path():
    line = TextFormatter().format(logging.makeLogRecord({"msg": "request", "path": "/x\n2026 INFO fake line"}))
    assert "\n" not in line
    assert r'path="/x\n2026 INFO fake line"' in line


def test_two_servers_in_a_process_count_apart():
    first, second = Metrics(), Metrics()
    first.job_finished("completed", error_code="", seconds=2.0, charged_credits=5)
    first.watch("danqing_test", "A figure.", lambda: 3)
    assert b"danqing_credits_charged_total 5.0" in first.text()
    assert b"danqing_job_duration_seconds_sum 2.0" in first.text()
    assert b"danqing_test 3.0" in first.text()
    assert b"danqing_credits_charged_total 0.0" in second.text()
