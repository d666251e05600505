package turbinehealth

import scala.jdk.CollectionConverters._

import org.apache.hadoop.conf.Configuration
import org.apache.parquet.ParquetReadOptions
import org.apache.parquet.hadoop.ParquetFileReader
import org.apache.parquet.hadoop.metadata.BlockMetaData
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.parquet.io.SeekableInputStream
import org.apache.spark.TaskContext
import org.apache.spark.paths.SparkPath
import org.apache.spark.sql.{classic, DataFrame, SparkSession}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.analysis.UnresolvedAttribute
import org.apache.spark.sql.catalyst.expressions.{AttributeReference, Expression}
import org.apache.spark.sql.delta.{DeltaLog, NoMapping, Snapshot}
import org.apache.spark.sql.delta.actions.AddFile
import org.apache.spark.sql.execution.datasources.{FilePartition, PartitionedFile}

/**
 * The bytes of a Delta table's Parquet files, for Python workers to decode (`io/decoded_files.py`).
 *
 * Spark's reader makes rows of columns, and for a worker rows become columns again, value by value. Here only bytes pass
 * through the JVM: those of the columns that are wanted.
 */
object FilePieces {

  /** Half of what Java's collector would treat as large, in a heap of up to 4 GB, and clear away at once with all the rest. */
  private val PieceBytes = 512 << 10
  /** Stands in the place of a row group's number: the end of a file, which tells where everything lies in it. */
  private val Footer = -1
  /** What a file ends with: the length of its footer, and a mark. */
  private val TailBytes = 8

  /** Whether the rows of a version are those of its files as they stand: no deletion vectors, renamed or partition columns. */
  def fits(spark: SparkSession, folder: String, version: Long): Boolean = {
    val snapshot = snapshotOf(spark, folder, version)
    snapshot.metadata.columnMappingMode == NoMapping && snapshot.metadata.partitionColumns.isEmpty &&
    !snapshot.protocol.readerFeatureNames.contains("deletionVectors")
  }

  /**
   * The bytes of `columns` in the row groups of a version.
   *
   * @param near condition in SQL on columns that Delta notes the least and greatest of: files of which it cannot hold are
   *             spared; null: none is
   * @return as `of`
   */
  def read(spark: SparkSession, folder: String, version: Long, columns: java.util.List[String], near: String): DataFrame = {
    val snapshot = snapshotOf(spark, folder, version)
    val files =
      if (near == null) snapshot.allFiles.collect().toSeq
      else snapshot.filesForScan(Seq(condition(spark, snapshot, near)), keepNumRecords = false).files
    of(spark, snapshot, files.zipWithIndex, columns)
  }

  /**
   * The bytes of `columns` in all row groups of some files.
   *
   * @param files of the snapshot, each with its number
   * @return `file`, its number; `group`, `position`, `piece`: bytes of the file from `position` on. Of each file a task gives
   *         the footer first (group -1), then one row group after the other. Tasks share files and groups as they do with
   *         Spark's reader.
   */
  private[turbinehealth] def of(
      spark: SparkSession, snapshot: Snapshot, files: Seq[(AddFile, Int)], columns: java.util.List[String]): DataFrame = {
    val session = spark.asInstanceOf[classic.SparkSession]
    import session.implicits._
    val settings = spark.sparkContext.broadcast(
      snapshot.deltaLog.newDeltaHadoopConf().iterator.asScala.map(each => each.getKey -> each.getValue).toMap)
    val wanted = columns.asScala.toSet
    val tasks = shares(session, snapshot, files, wanted.size)
    session.sparkContext.parallelize(tasks, math.max(tasks.length, 1))
      .flatMap(_.files.iterator.flatMap(piecesOf(_, wanted, settings.value)))
      .toDF("file", "group", "position", "piece")
  }

  /** A condition on columns of the table, as Delta's search for files takes it. */
  private[turbinehealth] def condition(spark: SparkSession, snapshot: Snapshot, near: String): Expression =
    spark.asInstanceOf[classic.SparkSession].sessionState.sqlParser.parseExpression(near).transform {
      case column: UnresolvedAttribute =>
        val field = snapshot.metadata.schema(column.name)
        AttributeReference(field.name, field.dataType, field.nullable, field.metadata)()
    }

  private def snapshotOf(spark: SparkSession, folder: String, version: Long): Snapshot =
    DeltaLog.forTable(spark, folder).getSnapshotAt(version)

  /** Parts of files, of as many wanted bytes each as Spark's reader would have in one task. */
  private def shares(session: classic.SparkSession, snapshot: Snapshot, files: Seq[(AddFile, Int)], columns: Int): Seq[FilePartition] = {
    val openCost = session.sessionState.conf.filesOpenCostInBytes
    val total = files.map(_._1.size + openCost).sum
    val ofAll = math.max(snapshot.metadata.schema.length, columns).toDouble / columns
    val most = math.max(
      FilePartition.maxSplitBytes(session, total),
      math.min(
        session.sessionState.conf.filesMaxPartitionBytes * ofAll, total.toDouble / session.sparkContext.defaultParallelism).toLong)
    val parts = for ((file, number) <- files; start <- 0L until file.size by most)
      yield PartitionedFile(
        InternalRow(number), SparkPath.fromPath(file.absolutePath(snapshot.deltaLog)), start, math.min(most, file.size - start))
    FilePartition.getFilePartitions(session, parts.sortBy(-_.length), most)
  }

  /** Of the row groups that begin in a part of a file. */
  private def piecesOf(part: PartitionedFile, wanted: Set[String], settings: Map[String, String]): Iterator[Piece] = {
    val conf = new Configuration(false)
    settings.foreach { case (key, value) => conf.set(key, value) }
    val file = HadoopInputFile.fromPath(part.toPath, conf)
    val stream = file.newStream()
    TaskContext.get().addTaskCompletionListener[Unit](_ => stream.close())
    val all = ParquetFileReader.readFooter(file, ParquetReadOptions.builder().build(), stream).getBlocks.asScala.toSeq.zipWithIndex
    val number = part.partitionValues.getInt(0)
    val groups = all.filter { case (group, _) => part.start <= group.getStartingPos && group.getStartingPos < part.start + part.length }
    val footer = if (groups.isEmpty) Iterator.empty else pieces(stream, footerStart(stream, file.getLength), file.getLength)
    val columns = groups.iterator.flatMap { case (group, place) =>
      ranges(group, wanted).flatMap { case (start, stop) => pieces(stream, start, stop).map((place, _)) }
    }
    (footer.map((Footer, _)) ++ columns).map { case (group, (position, bytes)) => (number, group, position, bytes) } ++
      { stream.close(); Iterator.empty }
  }

  private def footerStart(stream: SeekableInputStream, length: Long): Long = {
    val tail = bytesAt(stream, length - TailBytes, TailBytes)
    length - TailBytes - java.nio.ByteBuffer.wrap(tail).order(java.nio.ByteOrder.LITTLE_ENDIAN).getInt
  }

  /** Where the wanted columns of a row group lie; neighbours in one range. */
  private def ranges(group: BlockMetaData, wanted: Set[String]): Seq[(Long, Long)] = {
    val columns = group.getColumns.asScala.toSeq.filter(each => wanted(each.getPath.iterator.next()))
    columns.map(each => (each.getStartingPos, each.getStartingPos + each.getTotalSize)).sorted.foldLeft(List.empty[(Long, Long)]) {
      case ((start, stop) :: before, (next, end)) if next == stop => (start, end) :: before
      case (before, range) => range :: before
    }.reverse
  }

  private def pieces(stream: SeekableInputStream, start: Long, stop: Long): Iterator[(Long, Array[Byte])] =
    (start until stop by PieceBytes.toLong).iterator.map { position =>
      (position, bytesAt(stream, position, math.min(PieceBytes.toLong, stop - position).toInt))
    }

  private def bytesAt(stream: SeekableInputStream, position: Long, length: Int): Array[Byte] = {
    val bytes = new Array[Byte](length)
    stream.seek(position)
    stream.readFully(bytes)
    bytes
  }

  private type Piece = (Int, Int, Long, Array[Byte])
}
