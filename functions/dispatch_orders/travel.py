"""How far and how long it is between places: as the crow flies, times a detour."""

from collections.abc import Callable, Sequence

import numpy as np

from functions.dispatch_orders.fleet import Place, Vehicle

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG

type Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]

# From every place (row) to every place (column) with a vehicle: kilometres and hours. A travel-time
# matrix of a routing engine is another such function.
type Travel = Callable[[Sequence[Place], Vehicle], tuple[Matrix, Matrix]]


def great_circle(places: Sequence[Place], vehicle: Vehicle) -> tuple[Matrix, Matrix]:
    """Great-circle distance (haversine) times the vehicle's detour factor, at its speed."""
    latitudes = np.radians([place.latitude for place in places])
    longitudes = np.radians([place.longitude for place in places])
    halves = (
        np.sin((latitudes[:, None] - latitudes) / 2) ** 2
        + np.cos(latitudes[:, None])
        * np.cos(latitudes)
        * np.sin((longitudes[:, None] - longitudes) / 2) ** 2
    )
    angles = 2 * np.arcsin(np.sqrt(np.clip(halves, 0, 1)))
    kilometres: Matrix = EARTH_RADIUS_KM * angles * vehicle.detour_factor
    return kilometres, kilometres / vehicle.speed_kmh
