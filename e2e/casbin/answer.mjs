// Answers questions by node-casbin: node answer.mjs model.conf policy.csv questions.json
// questions.json holds a list of requests, each a list of texts; prints a list of booleans.
import { readFile } from "node:fs/promises";
import { newEnforcer } from "casbin";

const [model, policy, questions] = process.argv.slice(2);
const enforcer = await newEnforcer(model, policy);
const answers = [];
for (const question of JSON.parse(await readFile(questions, "utf8"))) {
  answers.push(await enforcer.enforce(...question));
}
process.stdout.write(JSON.stringify(answers));
