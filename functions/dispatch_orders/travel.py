"""Distances and travel times: great-circle distance times a detour factor."""

from collections.abc import Callable, Sequence

import numpy as np

from functions.dispatch_orders.fleet import Location, VehicleType

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG

type Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]

# From each location (row) to each location (column) with a vehicle type: kilometres and hours. The
# matrix of a routing engine can be used instead.
type Travel = Callable[[Sequence[Location], VehicleType], tuple[Matrix, Matrix]]


def great_circle(locations: Sequence[Location], vehicle: VehicleType) -> tuple[Matrix, Matrix]:
    """Return km and hours: haversine distance times the detour factor, at the average speed."""
    latitudes = np.radians([location.latitude for location in locations])
    longitudes = np.radians([location.longitude for location in locations])
    halves = (
        np.sin((latitudes[:, None] - latitudes) / 2) ** 2
        + np.cos(latitudes[:, None])
        * np.cos(latitudes)
        * np.sin((longitudes[:, None] - longitudes) / 2) ** 2
    )
    angles = 2 * np.arcsin(np.sqrt(np.clip(halves, 0, 1)))
    kilometres: Matrix = EARTH_RADIUS_KM * angles * vehicle.detour_factor
    return kilometres, kilometres / vehicle.speed_kmh
