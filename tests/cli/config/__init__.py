"""Tests of `pws config`: each mistake with its place, each value with where it comes from."""
