// The Vercel AI SDK against a server, by its provider for OpenAI-compatible servers and by the one for OpenAI.

import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import * as ai from 'ai';

const generateImage = ai.generateImage ?? ai.experimental_generateImage;
const { DANQING_URL, DANQING_API_KEY: apiKey } = process.env;
const model = 'hunyuan/hunyuan-image-v3-text-to-image';
const prompt = 'A red car on a road.';
const small = { num_inference_steps: 2, guidance_scale: 1 };

for (const baseURL of [`${DANQING_URL}/v1`, `${DANQING_URL}/v1/`, DANQING_URL]) {
  const danqing = createOpenAICompatible({ name: 'danqing', baseURL, apiKey });
  const { images } = await generateImage({
    model: danqing.imageModel(model),
    prompt,
    n: 2,
    size: '64x64',
    providerOptions: { danqing: { ...small, seed: 7 } },
    maxRetries: 0,
  });
  assert.equal(images.length, 2);
  assert.equal(Buffer.from(images[0].uint8Array).subarray(1, 4).toString(), 'PNG');
}
for (const name of [model, 'gpt-image-1', 'dall-e-3']) {
  const openai = createOpenAI({ baseURL: `${DANQING_URL}/v1`, apiKey });
  const { image } = await generateImage({ model: openai.image(name), prompt, size: '256x256', providerOptions: { openai: small }, maxRetries: 0 });
  assert.equal(Buffer.from(image.uint8Array).subarray(1, 4).toString(), 'PNG', name);
}
console.log('all as expected');
