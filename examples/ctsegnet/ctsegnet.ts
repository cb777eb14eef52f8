/**
 * Finds pores in slices of a tomogram by an ensemble of small networks that learn from each other's votes:
 *
 *   node dist-dev/examples/ctsegnet/ctsegnet.js
 *   mpiexec -n 4 node dist-dev/examples/ctsegnet/ctsegnet.js
 *
 * The members of the ensemble are dealt to the ranks, and so are the slices whose votes are counted. Each member begins
 * with a few pixels that were labelled by hand. In each round all members segment all slices, and learn from what they
 * agree on; the last segmentation is what most of them say.
 */
import { BraidData, BraidDB, BraidFact, BraidModel } from 'braid-mpi';
import { MPI } from 'braid-mpi/mpi';
import { shuffled } from '../common/random.js';
import { readOptions } from './options.js';
import { look, OPEN, Segmenter } from './segmenter.js';
import { NOISE, overlap, PIXELS, RECONSTRUCTIONS, scan } from './slices.js';

/** One for each reconstruction of a slice: they see the same pores through other noise. */
const MEMBERS = RECONSTRUCTIONS;
/** Of one slice, for each member. */
const LABELLED_PIXELS = 200;

const options = readOptions();
const { rounds } = options;
// The same program, and nothing recorded.
if (!options.record) process.env.BRAID = 'off';

const db = await BraidDB.open(options.db, { name: 'ctsegnet' });
const { rank, size, isRoot } = db;
/** Collective. Adds up over all ranks, in place. A single process never gets to MPI. */
const allSum = async (values: Float64Array | Int32Array) => {
  if (size > 1) await MPI.COMM_WORLD.iallreduce(MPI.IN_PLACE, values, MPI.SUM);
};
const say = (text: string) => {
  if (isRoot) process.stderr.write(`${text}\n`);
};
const isMine = (index: number) => index % size === rank;
/** A seed for each thing that is random, whatever rank does it. */
const seedOf = (what: number, index: number) => (options.seed * 10 + what) * 100_000 + index;
const [SLICE, LABELLED, CHOICE, WEIGHTS, ORDER] = [0, 1, 2, 3, 4];

// What is given from outside, and the members: stated by the root, and every rank gets a handle.
const scanner = await db.share(isRoot ? new BraidFact(db, { name: 'scanner', tags: { noise: NOISE } }) : null);
const annotator = await db.share(
  isRoot ? new BraidFact(db, { name: 'annotator', tags: { pixels: LABELLED_PIXELS } }) : null,
);
const models: BraidModel[] = [];
for (let m = 0; m < MEMBERS; m++) {
  models.push(await db.share(isRoot ? new BraidModel(db, { name: `member-${m}` }) : null));
}

// The slices to be segmented. All ranks have them; each counts the votes on some, and records those.
const slices = Array.from({ length: options.slices }, (_, s) => scan(seedOf(SLICE, s)));
const sliceData = slices.map((_, s) =>
  isMine(s) ? new BraidData(db, { name: `slice-${s}`, derivedFrom: scanner }) : undefined,
);

/** The members of this rank, after they have learnt what was labelled by hand. */
const members = models.flatMap((model, index) => {
  if (!isMine(index)) return [];
  const slice = scan(seedOf(LABELLED, index));
  const byHand = new Set(shuffled(PIXELS, seedOf(CHOICE, index)).subarray(0, LABELLED_PIXELS));
  const labels = slice.pores.map((pore, i) => (byHand.has(i) ? pore : OPEN));
  const labelledSeen = look(slice.reconstructions[index]);
  const labelled = new BraidData(db, { name: `labelled-${index}`, derivedFrom: [scanner, annotator] });

  const network = new Segmenter(seedOf(WEIGHTS, index));
  network.learn([labelledSeen], [labels], 40, seedOf(ORDER, 1000 * index));
  model.update(labelled, { step: 0 });
  const seen = slices.map(({ reconstructions }) => look(reconstructions[index]));
  return [{ index, model, network, seen, labels, labelledSeen, labelled }];
});

const consensus: number[] = [];
const memberOverlaps: number[][] = [];
for (let round = 0; ; round++) {
  // Every member's version of this round says what it sees.
  const counts = new Int32Array(slices.length * PIXELS);
  const overlaps = new Float64Array(MEMBERS);
  for (const { index, network, seen } of members) {
    const segmentations = seen.map((one) => network.segment(one));
    segmentations.forEach((pores, s) => pores.forEach((pore, i) => (counts[s * PIXELS + i] += pore)));
    overlaps[index] = overlap(segmentations, slices);
  }
  await allSum(counts);
  await allSum(overlaps);
  const votesOf = (s: number) => counts.subarray(s * PIXELS, (s + 1) * PIXELS);
  const majority = slices.map((_, s) => Uint8Array.from(votesOf(s), (votes) => (2 * votes > MEMBERS ? 1 : 0)));
  consensus.push(overlap(majority, slices));
  memberOverlaps.push([...overlaps]);
  say(
    `round ${round}: overlap with the truth ${percent(consensus[round])}, members alone ${memberOverlaps[round].map(percent).join(' ')}`,
  );

  // What was voted, by slice, of the versions that voted: they can be named on any rank. Ids are sent like any number.
  const voters = models.map((model) => model.at({ step: round }));
  const ids = new Float64Array(slices.length);
  sliceData.forEach((slice, s) => {
    if (!slice) return;
    const agreed = votesOf(s).filter((votes) => votes === 0 || votes === MEMBERS).length / PIXELS;
    const name = round === rounds ? `segmentation-${s}` : `votes-${round}-${s}`;
    ids[s] = new BraidData(db, { name, derivedFrom: [slice, ...voters], tags: { agreed } }).id;
  });
  await allSum(ids);
  if (isRoot) {
    new BraidData(db, { name: `score-${round}`, derivedFrom: [...ids], tags: { overlap: consensus[round] } });
  }
  if (round === rounds) break;

  // Every member learns from the votes, its own among them, where all agree; and once more from its labels by hand.
  const agreed = slices.map((_, s) =>
    Uint8Array.from(votesOf(s), (votes) => (votes === MEMBERS ? 1 : votes === 0 ? 0 : OPEN)),
  );
  for (const { index, model, network, seen, labels, labelledSeen, labelled } of members) {
    network.learn([...seen, labelledSeen], [...agreed, labels], 1, seedOf(ORDER, 1000 * index + 100 + round));
    model.update([...ids, labelled], { step: round + 1 });
  }
}
await db.close();

const result = { ranks: size, consensus, members: memberOverlaps, db: options.record ? db.path : null };
if (isRoot && options.json) console.log(JSON.stringify(result));

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}
