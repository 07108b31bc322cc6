// Pictures from files and cameras, at the size that the network works in.

const SMALLEST = 8; // pixels a side

/** A sentence for the reader. */
export class Told extends Error {}

/** A file or URL as an ImageBitmap. */
export async function readPicture(blob, name) {
  let picture;
  try {
    picture = await createImageBitmap(blob);
  } catch {
    throw new Told(`${name} is not a picture that this browser can read.`);
  }
  if (Math.min(picture.width, picture.height) < SMALLEST) {
    throw new Told(`${name} is too small: a picture needs ${SMALLEST} pixels a side.`);
  }
  return picture;
}

/** A playing video of the camera. */
export async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Told("No camera: browsers open it only for pages that are served by https.");
  }
  const reasons = {
    NotAllowedError: "this page was not allowed to use it",
    NotFoundError: "there is none",
    NotReadableError: "another program uses it",
  };
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 } },
    });
    await video.play();
  } catch (error) {
    throw new Told(`No camera could be opened: ${reasons[error.name] ?? error.message}.`);
  }
  return video;
}

export function closeCamera(video) {
  for (const track of video.srcObject.getTracks()) track.stop();
  video.srcObject = null;
}

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true });

/** Draw part of a source, over white where it is transparent: ImageData. */
function draw(source, [left, top, across, down], width, height) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, left, top, across, down, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function sidesOf(source) {
  return [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
}

/** The whole of a source, with no more pixels than a square of that size: never enlarged. */
export function frameOf(source, size) {
  const [across, down] = sidesOf(source);
  const scale = Math.min(1, size / Math.sqrt(across * down));
  const [width, height] = [across, down].map((side) => Math.max(1, Math.round(side * scale)));
  return draw(source, [0, 0, across, down], width, height);
}

/** The middle square of a source, of a side at most. */
export function squareOf(source, side) {
  const [across, down] = sidesOf(source);
  const shorter = Math.min(across, down);
  const size = Math.min(side, shorter);
  const box = [
    Math.floor((across - shorter) / 2),
    Math.floor((down - shorter) / 2),
    shorter,
    shorter,
  ];
  return draw(source, box, size, size);
}
