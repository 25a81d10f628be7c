"""Tests of service.logs: both forms of a line, what is hidden in it, and the page that lists the events."""
