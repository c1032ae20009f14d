// Get a file of the page, or an error that names it.

export async function get(address) {
  const name = new URL(address).pathname.split("/").pop();
  let answer;
  try {
    answer = await fetch(address);
  } catch {
    throw new Error(`${name} could not be loaded; the connection seems to be gone`);
  }
  if (!answer.ok) throw new Error(`${name} could not be loaded: the server answered ${answer.status}`);
  return answer;
}
