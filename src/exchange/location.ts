import { posix } from 'node:path';

/**
 * What a URI says of where something is. URIs are what a program has recorded: mostly `file:///path`, often a path alone,
 * sometimes no URI at all.
 */
export interface Location {
  /** As OpenLineage names things: `file` or `file://host`, `s3://bucket`, `https://host`. */
  readonly namespace: string;
  readonly name: string;
  /** Of a file, with its host if it names one. */
  readonly file?: { readonly path: string; readonly host?: string };
}

/** Stores whose names begin after the slash: a key, and no path. */
const KEYED = new Set(['s3', 's3a', 's3n', 'gs', 'gcs', 'abfs', 'abfss', 'wasb', 'wasbs', 'azure']);

/** Undefined for what is neither a URI nor an absolute path. */
export function locationOf(uri: string): Location | undefined {
  if (uri.startsWith('/')) return ofFile(posix.normalize(uri), '');
  const url = parsed(uri);
  if (!url) return undefined;
  const scheme = url.protocol.slice(0, -1);
  if (scheme === 'file') return ofFile(decoded(url.pathname), url.hostname);
  if (url.host === '') {
    const name = uri.slice(uri.indexOf(':') + 1);
    return name === '' ? undefined : { namespace: scheme, name };
  }
  const path = decoded(url.pathname) + url.search + url.hash;
  // Without user and password: names are shown to everybody.
  const namespace = `${KEYED.has(scheme) ? scheme.replace(/^s3[an]$/, 's3').replace(/^gcs$/, 'gs') : scheme}://${url.host}`;
  return { namespace, name: KEYED.has(scheme) ? path.slice(1) || '/' : path || '/' };
}

function ofFile(path: string, host: string): Location {
  const elsewhere = host === '' || host === 'localhost' ? undefined : host;
  const namespace = elsewhere === undefined ? 'file' : `file://${elsewhere}`;
  return { namespace, name: path, file: { path, host: elsewhere } };
}

function parsed(uri: string): URL | undefined {
  return URL.canParse(uri) ? new URL(uri) : undefined;
}

/** A path stays as it is where it isn't UTF-8 below its percent signs, and where it would become another: `..%2F` is no step. */
function decoded(path: string): string {
  if (/%(2f|00)/i.test(path)) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
