// What became of orders that were placed: the dispatch plans or refuses them a moment later.

import { withLocalTimes } from "./format.js";

const ROUNDS = 15; // at most, one each second

/**
 * Reads orders until each has a state, for 15 s at most.
 * `placed`: [{ order_id, chosen }]. If the id was chosen, an earlier order with this id may have been
 * refused: such a refusal counts only at the end. Returns { refused, unknown }; those in `refused` have a `reason`.
 */
export async function follow(api, placed) {
  let pending = placed;
  const reasons = new Map(); // order id to the reason of its refusal
  for (let round = 0; round < ROUNDS && pending.length; round += 1) {
    if (round) await new Promise((resolve) => setTimeout(resolve, 1000));
    const open = [];
    for (const one of pending) {
      const order = await read(api, one.order_id);
      if (order?.state === "refused") reasons.set(one.order_id, withLocalTimes(order.reason));
      else if (order) reasons.delete(one.order_id);
      if (!order || (order.state === "refused" && one.chosen)) open.push(one);
    }
    pending = open;
  }
  return {
    refused: placed.filter(({ order_id }) => reasons.has(order_id)).map((one) => ({ ...one, reason: reasons.get(one.order_id) })),
    unknown: pending.filter(({ order_id }) => !reasons.has(order_id)),
  };
}

/** The order, or undefined if it is not stored or cannot be read now. */
async function read(api, order_id) {
  const page = await api.get(`api/console/orders?${new URLSearchParams({ order_id })}`).catch(() => null);
  return page?.items[0];
}
