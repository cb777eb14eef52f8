import type { Command } from 'commander';
import type { DoctorReport, Finding } from '../doctor.js';
import { printable, styled, writeJson, writeLines } from './output.js';
import { jsonOption } from './usage.js';

const AREAS: Record<Finding['area'], string> = {
  software: 'Software',
  mpi: 'MPI',
  database: 'Database',
  spool: 'Spool of this process',
  system: 'System',
};
const MARKS: Record<Finding['level'], string> = {
  ok: styled('good', 'ok  '),
  note: 'note',
  warn: styled('note', 'warn'),
  fail: styled('bad', 'FAIL'),
};

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('say what a recording job would find here')
    .description(
      'Looks at what a recording job stands on: software, MPI, where the database and the spools would lie, and what is not ' +
        'guaranteed there. Run it by mpiexec to see what a rank sees. Exit code 1: something would stop a job.',
    )
    .argument('[db]', 'database, which need not exist; else the working directory is looked at')
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ braid doctor run.db\n  $ mpiexec -n 2 braid doctor run.db\n')
    .action(async (path: string | undefined, { json }: { json?: boolean }) => {
      const { doctor } = await import('../doctor.js');
      const report = doctor(path);
      // One rank speaks for all, and fails for all: a failing one would end the job before that.
      if (report.rank !== 0) return;
      if (report.findings.some(({ level }) => level === 'fail')) process.exitCode = 1;
      await (json ? writeJson(report) : writeLines(textLines(report)));
    });
}

function* textLines({ host, findings }: DoctorReport): Iterable<string> {
  yield `On ${host}`;
  for (const [area, title] of Object.entries(AREAS)) {
    yield '';
    yield title;
    for (const { level, name, value, advice } of findings.filter((finding) => finding.area === area)) {
      yield `  ${MARKS[level]}  ${name.padEnd(16)}  ${printable(value)}`;
      if (advice) yield `${' '.repeat(26)}${printable(advice)}`;
    }
  }
  const fails = findings.filter(({ level }) => level === 'fail').length;
  yield '';
  yield fails === 0
    ? 'A job can record here.'
    : `A job would stop here: see ${fails === 1 ? 'the line' : 'the lines'} marked FAIL.`;
}
