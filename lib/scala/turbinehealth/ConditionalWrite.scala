package turbinehealth

import scala.language.existentials

import org.apache.hadoop.fs.{FSDataOutputStream, FileSystem, Path}

/** Files that S3 takes only where none of that name is yet (`If-None-Match: *`), whoever else writes at that moment. */
private[turbinehealth] object ConditionalWrite {

  /** A new file, there once it is closed. Closing fails where another writer's file came first. */
  def begin(files: FileSystem, path: Path): FSDataOutputStream = {
    val builder = files.createFile(path)
    builder.recursive()
    builder.overwrite(false)
    // `must`: a store that cannot do it says so, and does not write as if it were alone.
    builder.must("fs.option.create.conditional.overwrite", true)
    builder.build()
  }
}
