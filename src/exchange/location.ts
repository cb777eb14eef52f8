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
  readonly file?: FileLocation;
}

export interface FileLocation {
  readonly path: string;
  /** False where its name isn't UTF-8, or has a slash or a NUL in it: then `path` is as in the URI. */
  readonly decoded: boolean;
  readonly host?: string;
}

/** Stores whose names begin after the slash: a key, and no path. */
const KEYED = new Set(['s3', 's3a', 's3n', 'gs', 'gcs', 'abfs', 'abfss', 'wasb', 'wasbs', 'azure']);

/** Undefined for what is neither a URI nor an absolute path. */
export function locationOf(uri: string): Location | undefined {
  if (uri.startsWith('/')) return ofFile(posix.normalize(uri), true, '');
  // No scheme has one letter.
  if (/^[a-z]:[\\/]/i.test(uri)) return ofFile(`/${uri.replaceAll('\\', '/')}`, true, '');
  const url = parsed(uri);
  if (!url) return undefined;
  const scheme = url.protocol.slice(0, -1);
  if (scheme === 'file') {
    const path = decodedPath(url.pathname);
    return ofFile(path ?? url.pathname, path !== undefined, url.hostname);
  }
  if (url.host === '') {
    const name = uri.slice(uri.indexOf(':') + 1);
    return name === '' ? undefined : { namespace: scheme, name };
  }
  const path = (decodedPath(url.pathname) ?? url.pathname) + url.search + url.hash;
  // Without user and password: names are shown to everybody.
  const namespace = `${KEYED.has(scheme) ? scheme.replace(/^s3[an]$/, 's3').replace(/^gcs$/, 'gs') : scheme}://${url.host}`;
  return { namespace, name: KEYED.has(scheme) ? path.slice(1) || '/' : path || '/' };
}

function ofFile(path: string, decoded: boolean, host: string): Location {
  const elsewhere = host === '' || host === 'localhost' ? undefined : host;
  const namespace = elsewhere === undefined ? 'file' : `file://${elsewhere}`;
  return { namespace, name: path, file: { path, decoded, host: elsewhere } };
}

function parsed(uri: string): URL | undefined {
  return URL.canParse(uri) ? new URL(uri) : undefined;
}

/** Undefined where it isn't UTF-8 below its percent signs, and where it would become another: `..%2F` is no step. */
function decodedPath(path: string): string | undefined {
  if (/%(2f|00)/i.test(path)) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
