// What this device has to send: photos and delivery reports. IndexedDB keeps them over a reload.

const open = () => new Promise((resolve, reject) => {
  const request = indexedDB.open("scones-unlimited", 1);
  request.onupgradeneeded = () =>
    request.result.createObjectStore("outbox", { keyPath: "id", autoIncrement: true });
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

export class Outbox {
  #database = open();
  #owner;

  /** `owner`: the user name. What another user of the device left is neither seen nor sent. */
  constructor(owner) {
    this.#owner = owner;
  }

  /** Stores the item and sets its `id`. */
  async save(item) {
    item.owner = this.#owner;
    item.id = await this.#run("readwrite", (store) => store.put(item));
  }

  async remove(item) {
    await this.#run("readwrite", (store) => store.delete(item.id));
  }

  /** All items of the owner, oldest first. */
  async items() {
    const all = await this.#run("readonly", (store) => store.getAll());
    return all.filter((item) => item.owner === this.#owner);
  }

  async #run(mode, work) {
    const transaction = (await this.#database).transaction("outbox", mode);
    const request = work(transaction.objectStore("outbox"));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}
