/** Imported before a program: its host has another name. */
import os from 'node:os';
import { syncBuiltinESMExports } from 'node:module';

os.hostname = () => 'node-b';
syncBuiltinESMExports();
