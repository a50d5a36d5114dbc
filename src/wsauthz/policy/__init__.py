"""Deciding: bundles are read strictly, compiled once, evaluated over facts in memory. Pure; only here is Casbin."""
