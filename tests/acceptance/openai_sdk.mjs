// What examples/openai_sdk.mjs does not show of OpenAI's JavaScript SDK: every error class, the models, the raw response.

import assert from 'node:assert/strict';
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError, PermissionDeniedError } from 'openai';

const model = 'hunyuan/hunyuan-image-v3-text-to-image';
const { DANQING_URL, DANQING_API_KEY, DANQING_MANAGEMENT_KEY } = process.env;
const client = new OpenAI({ baseURL: `${DANQING_URL}/v1`, apiKey: DANQING_API_KEY, maxRetries: 0 });
const request = { model, prompt: 'A red car on a road.', size: '64x64', num_inference_steps: 4 };

const models = await client.models.list();
assert.deepEqual(models.data.map((each) => each.id), [model]);
assert.equal((await client.models.retrieve(model)).owned_by, 'hunyuan');

const { data, response } = await client.images.generate({ ...request, n: 2, seed: 7 }).withResponse();
assert.deepEqual(data.data.map((image) => image.seed), [7, 8]);
assert.equal(response.headers.get('x-aimlapi-credits-used'), '420000');
assert.equal(data._request_id, response.headers.get('x-inference-id'));
const raw = await client.images.generate(request).asResponse();
assert.match(raw.headers.get('x-inference-id'), /^[A-Za-z0-9]{21}$/);

const inline = await client.images.generate({ ...request, response_format: 'b64_json' });
assert.equal(Buffer.from(inline.data[0].b64_json, 'base64').subarray(1, 4).toString(), 'PNG');
assert.equal(inline.data[0].url, undefined);

const types = [];
for await (const event of await client.images.generate({ ...request, stream: true, partial_images: 2 })) {
  types.push(event.type);
}
const partial = 'image_generation.partial_image';
assert.deepEqual(types, [partial, partial, 'image_generation.completed']);

// Functions: a promise that fails before anything awaits it ends the program.
const withKey = (apiKey) => () => client.withOptions({ apiKey }).images.generate(request);
const refusals = [
  [() => client.images.generate({ ...request, n: 9 }), BadRequestError, 'invalid_payload', 'n'],
  [() => client.images.generate({ ...request, model: 'dall-e-3' }), NotFoundError, 'model_not_found', 'model'],
  [withKey('0'.repeat(32)), AuthenticationError, 'invalid_api_key', null],
  [withKey(DANQING_MANAGEMENT_KEY), PermissionDeniedError, 'missing_scope', null],
];
for (const [refused, kind, code, param] of refusals) {
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof kind, `${error}`);
    assert.deepEqual([error.code, error.param], [code, param]);
    assert.match(error.requestID, /^[A-Za-z0-9]{21}$/);
    return true;
  });
}
console.log('all as expected');
