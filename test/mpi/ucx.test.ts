import assert from 'node:assert/strict';
import { roomAboveHeap } from '#src/comm/ucx.js';

const NODE = '00400000-00b6f000 r--p 00000000 fe:00 1234 /usr/bin/node';
const HEAP = '120ab000-122c0000 rw-p 00000000 00:00 0 [heap]';
const code = (start: string) => `${start}-322c0000 ---p 00000000 00:00 0 `;

describe('the room above the heap', () => {
  const MAPS: readonly (readonly [string, string[], number])[] = [
    ['none, where something is mapped right above it', [NODE, HEAP, code('122c0000'), ''], 0],
    ['what lies between, where something is near', [NODE, HEAP, code('122c3000'), ''], 0x3000],
    [
      'terabytes in the ordinary case',
      [NODE, HEAP, '7fce45800000-7fce4588e000 r--p 0 0:0 0 /lib/libc.so.6', ''],
      0x7fce45800000 - 0x122c0000,
    ],
    ['without a bound above the last mapping', [NODE, HEAP, ''], Infinity],
    ['without a bound where there is no heap', [NODE, code('122c0000'), ''], Infinity],
    ['without a bound where nothing is known', [''], Infinity],
  ];
  for (const [title, lines, room] of MAPS) {
    it(`is ${title}`, () => assert.equal(roomAboveHeap(lines.join('\n')), room));
  }
});
