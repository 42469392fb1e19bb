"""Parley: one package a service."""
