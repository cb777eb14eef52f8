import { packageVersion } from '../package.js';

/** What has made an event or a crate. A name and no address: it has to hold where there is no network, too. */
export const producer = (): string => `urn:braid-mpi:${packageVersion()}`;

/** Of a type that is ours, in other vocabularies: `docs/schemas` has it. */
export const schemaUrn = (name: string): string => `urn:braid-mpi:schema:1-0-0:${name}`;
