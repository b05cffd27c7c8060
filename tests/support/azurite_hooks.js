// Loaded into Azurite before it starts (`node --require`), for tests that kill it.

// It ends with the process that started it, however that ends: its standard input closes.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

// The service keeps every write it acknowledged; Azurite writes its tables down each five seconds and forgets the rest
// when it is killed. With AZURITE_SAVED, it writes them on SIGUSR2 alone, and then that file.
if (process.env.AZURITE_SAVED) {
  const fs = require("fs");
  const Loki = require(require.resolve("lokijs", { paths: [process.argv[1]] }));
  const tables = [];
  Loki.prototype.autosaveEnable = function (options, callback) {
    tables.push(this);
    if (callback) callback();
  };
  process.on("SIGUSR2", async () => {
    await Promise.all(tables.map((table) => new Promise((done) => table.saveDatabase(done))));
    fs.writeFileSync(process.env.AZURITE_SAVED, "");
  });
}
