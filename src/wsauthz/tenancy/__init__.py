"""Changing who is where: plain functions, one transaction each, every one decided by the engine."""
