// Claims somebody of a group with the generated client, then says who of the group is free, as its events tell.
import {
  type AnyContact,
  AnyContactFromJSON,
  ClaimsApi,
  Configuration,
  EventsApi,
  RemovedContactFromJSON,
  ResponseError,
  SnapshotFromJSON,
} from './build/typescript/index';

declare const process: any; // Node's

const SILENCE = 31_000; // ms without a byte after which nothing is sure: more than twice stream.keep_alive
const [group, purpose] = process.argv.slice(2);
const { PWS_URL = 'http://127.0.0.1:8000', PWS_KEY } = process.env;
const configuration = new Configuration({ basePath: PWS_URL, accessToken: PWS_KEY });
const contacts = new Map<string, AnyContact>();
let lastEventId: string | undefined;
let retry = 1000;
let said = '';

function say(words: string): void {
  if (words !== said) console.log((said = words));
}

function take(event: string, data: any): void {
  if (event === 'snapshot') {
    const snapshot = SnapshotFromJSON(data);
    console.log(`snapshot: ${snapshot.reason}`);
    contacts.clear();
    for (const contact of snapshot.contacts) contacts.set(contact.contact, contact);
  } else if (event === 'change') {
    const contact = AnyContactFromJSON(data);
    contacts.set(contact.contact, contact);
  } else if (event === 'removed') {
    contacts.delete(RemovedContactFromJSON(data).contact);
  } // others: what happens beside the contacts, and kinds of events that are yet to come
}

function whoIsFree(): string {
  const all = [...contacts.values()].sort((one, other) => (one.contact < other.contact ? -1 : 1));
  const free = all.filter((contact) => contact.available).map((contact) => contact.contact);
  const unsure = all.filter((contact) => contact.freshness !== 'live').map((contact) => contact.contact);
  return `free: ${free.join(', ')}${unsure.length ? `; not live: ${unsure.join(', ')}` : ''}`;
}

async function listen(): Promise<void> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE);
  try {
    // The raw answer comes with its head: its value would come with the end of the stream.
    const { raw } = await new EventsApi(configuration).followEventsRaw({ group: [group], lastEventId }, { signal: silence.signal });
    let rest = '';
    for await (const piece of raw.body!.pipeThrough(new TextDecoderStream())) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
      const blocks = (rest + piece).split('\n\n');
      rest = blocks.pop()!;
      for (const block of blocks) {
        const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s) as [string, string]));
        if (fields.has('retry')) retry = Number(fields.get('retry'));
        if (!fields.has('data')) continue;
        take(fields.get('event')!, JSON.parse(fields.get('data')!));
        lastEventId = fields.get('id');
        say(whoIsFree());
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

async function main(): Promise<void> {
  const claims = new ClaimsApi(configuration);
  const claim = await claims.createClaim({
    claimRequest: { group, purpose },
    idempotencyKey: crypto.randomUUID(),
    prefer: 'wait=60',
  });
  console.log(`claimed: ${claim.contacts[0].contact}`);
  process.on('SIGINT', async () => {
    console.log(await claims.releaseClaim({ id: claim.id }).then(() => 'released', () => 'the claim has ended'));
    process.exit();
  });
  for (;;) {
    try {
      await listen();
    } catch (failure) {
      // A wrong key, or group, stays wrong. All else may be better the next time: no service there, a broken connection.
      if (failure instanceof ResponseError && failure.response.status < 500 && failure.response.status !== 429) throw failure;
    }
    say('not sure');
    await new Promise((resolve) => setTimeout(resolve, retry));
  }
}

main();
