"""Statements about who may reach whom, by what they are about."""
