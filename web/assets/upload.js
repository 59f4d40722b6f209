// Photos straight to S3, by presigned POST.

import { NoConnection, Refused } from "./api.js";

const TYPES = {
  jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", webp: "image/webp", gif: "image/gif",
  heic: "image/heic", heif: "image/heif", avif: "image/avif",
};

/** The media type of a photo; null if it is none. Some browsers do not know HEIC: the name decides. */
export function photoType(file) {
  if (Object.values(TYPES).includes(file.type)) return file.type;
  return file.type ? null : TYPES[file.name.split(".").pop().toLowerCase()] ?? null;
}

/** Sends the photo. `onProgress` gets the share that was sent, 0 to 1. */
export function sendPhoto({ url, fields }, photo, onProgress) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", photo);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.timeout = 120_000;
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.onerror = () => reject(new NoConnection());
    request.ontimeout = () => reject(new NoConnection());
    request.onload = () => {
      if (request.status < 300) resolve();
      else if (request.status >= 500) reject(new NoConnection());
      else reject(new Refused(request.status, { detail: "The photo could not be stored. Take it again." }));
    };
    request.send(form);
  });
}
