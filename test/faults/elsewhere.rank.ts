/** Imported before a program: its host is another. */
import { pretendHost } from '../support/another-host.js';

pretendHost('node-b');
