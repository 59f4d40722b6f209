"""Dispatch orders: plan routes and assign them to couriers."""
