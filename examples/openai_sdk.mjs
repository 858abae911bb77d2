// OpenAI's JavaScript SDK: draw, watch a picture form, read an error. `npm install`, then:
//
//     DANQING_URL=http://127.0.0.1:8000 DANQING_API_KEY=... node openai_sdk.mjs

import { writeFile } from 'node:fs/promises';
import OpenAI, { BadRequestError } from 'openai';

const model = 'hunyuan/hunyuan-image-v3-text-to-image';
const client = new OpenAI({ baseURL: `${process.env.DANQING_URL}/v1`, apiKey: process.env.DANQING_API_KEY });

// One request, one link. Fields that OpenAI does not know are sent as they are.
async function draw() {
  const response = await client.images.generate({
    model,
    prompt: 'A red car on a road.',
    size: '1280x768',
    seed: 7,
    negative_prompt: 'clouds',
  });
  console.log('link:', response.data[0].url);
}

// The picture forms in two previews, then comes whole, in the events themselves.
async function watch() {
  const events = await client.images.generate({
    model,
    prompt: 'A brown dog on a beach.',
    stream: true,
    partial_images: 2,
  });
  for await (const event of events) {
    const isPreview = event.type === 'image_generation.partial_image';
    const file = isPreview ? `preview-${event.partial_image_index + 1}.png` : 'picture.png';
    await writeFile(file, Buffer.from(event.b64_json, 'base64'));
    console.log('wrote:', file);
  }
}

// A wrong field is an exception that names it; nothing was charged.
async function beRefused() {
  try {
    await client.images.generate({ model, prompt: 'A cat.', n: 9 });
  } catch (error) {
    if (!(error instanceof BadRequestError)) throw error;
    console.log('refused:', error.status, error.code, error.param);
  }
}

await draw();
await watch();
await beRefused();
