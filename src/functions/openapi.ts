import { toJsonSchema, toJsonSchemaDefs, type ConversionConfig } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { packageVersion } from '../package.js';
import { addedRecord, recordDict } from './schemas.js';
import { FUNCTIONS } from './table.js';

const NAMED = { RecordDict: recordDict, AddedRecord: addedRecord };

const CONFIG: ConversionConfig = {
  target: 'draft-2020-12',
  // Of a pipe the last schema, which says most. Nothing is transformed.
  typeMode: 'output',
  definitions: NAMED,
  overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
  // Of our own checks there is no JSON Schema; what is checked so is text, or an object.
  errorMode: 'ignore',
  ignoreActions: ['check', 'finite'],
  overrideSchema: ({ valibotSchema: { type } }) =>
    type === 'custom' ? { type: 'object' } : type === 'bigint' ? { type: 'integer' } : undefined,
};

const ERRORS: Record<number, string> = {
  400: 'The input is not what the function takes; the message names the place.',
  401: 'The bearer token is missing or wrong.',
  403: 'The request comes from a web page, or by a name that is not that of this machine.',
  413: 'The body, or a record in it, is too large.',
  415: 'The content type is not application/json.',
  422: 'A record or an action that is named is not there.',
  429: 'Too many requests; Retry-After says when the next may come.',
  503: 'Nothing can be recorded now, and nothing of this request was.',
};

/** The description of the service, made of the schemas that validate. */
export function openApi(secured: boolean): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'braid-mpi functions',
      version: packageVersion(),
      description: "Braid-DB's remote functions: each records provenance, and answers when that is committed.",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    ...(secured ? { security: [{ bearer: [] }] } : { security: [] }),
    paths: Object.fromEntries(
      Object.entries(FUNCTIONS).map(([name, each]) => [`/${name}`, { post: operation(name, each) }]),
    ),
    components: {
      schemas: {
        ...toJsonSchemaDefs(NAMED, CONFIG),
        Error: {
          type: 'object',
          required: ['error'],
          properties: {
            error: {
              type: 'object',
              required: ['code', 'message'],
              properties: { code: { type: 'string', pattern: '^ERR_BRAID_' }, message: { type: 'string' } },
            },
          },
        },
      },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function operation(name: string, { summary, input, output }: (typeof FUNCTIONS)[string]): object {
  const errors = Object.entries(ERRORS).map(([status, description]) => [
    status,
    { description, content: json({ $ref: '#/components/schemas/Error' }) },
  ]);
  return {
    operationId: name,
    summary,
    requestBody: { required: true, content: json(schemaOf(input)) },
    responses: {
      200: { description: 'What the function gives. All of it is committed.', content: json(schemaOf(output)) },
      202: {
        description:
          'What the function gives. All of it is recorded for good, and is committed as soon as the database can be written: do not send it again.',
        content: json(schemaOf(output)),
      },
      ...(Object.fromEntries(errors) as object),
    },
  };
}

function json(schema: object): object {
  return { 'application/json': { schema } };
}

/** Without what the document has for all. */
function schemaOf(schema: v.GenericSchema): object {
  return { ...toJsonSchema(schema, CONFIG), $schema: undefined, $defs: undefined };
}
