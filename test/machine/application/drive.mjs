// drive.mjs FILE: what a module of examples/clients makes of the documents and the query on standard input.
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { embedDocuments, embedQuery } = await import(pathToFileURL(process.argv[2]).href);
const { documents, query } = JSON.parse(await text(process.stdin));
const answer = { documents: await embedDocuments(documents), query: await embedQuery(query) };
process.stdout.write(JSON.stringify(answer));
