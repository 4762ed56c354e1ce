// drive.mjs FILE: prints the vectors of a module of examples/clients for documents and a query on standard input.
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { embedDocuments, embedQuery } = await import(pathToFileURL(process.argv[2]).href);
const { documents, query } = JSON.parse(await text(process.stdin));
const answer = { documents: await embedDocuments(documents), query: await embedQuery(query) };
process.stdout.write(JSON.stringify(answer));
