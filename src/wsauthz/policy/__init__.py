"""Deciding: bundles are read strictly, compiled once, and evaluated over facts in memory. Pure; the only casbin importer."""
