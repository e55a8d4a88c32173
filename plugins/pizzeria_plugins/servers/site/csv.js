/** CSV as spreadsheets write it (RFC 4180), with commas, semicolons or tabs. */

/** All records of a text, each a list of fields; empty lines are left out. */
export function parse(text) {
  const separator = separatorOf(text);
  const records = [];
  let record = [],
    field = "",
    quoted = false;
  const endField = () => {
    record.push(field);
    field = "";
  };
  const endRecord = () => {
    endField();
    if (record.length > 1 || record[0] !== "") records.push(record);
    record = [];
  };
  for (let at = text.startsWith("\ufeff") ? 1 : 0; at < text.length; at += 1) {
    const letter = text[at];
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (text[at + 1] === '"') {
        field += '"';
        at += 1;
      } else quoted = false;
    } else if (letter === '"' && field === "") quoted = true;
    else if (letter === separator) endField();
    else if (letter === "\n" || letter === "\r") endRecord();
    else field += letter;
  }
  endRecord();
  return records;
}

/** Of the three, the one that is in the first line most often. */
function separatorOf(text) {
  const head = text.split(/[\r\n]/, 1)[0];
  const times = letter => head.split(letter).length;
  return [",", ";", "\t"].reduce((best, letter) => (times(letter) > times(best) ? letter : best));
}
